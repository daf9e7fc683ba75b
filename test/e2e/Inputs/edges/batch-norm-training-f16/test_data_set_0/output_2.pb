
Bo2Jtldm