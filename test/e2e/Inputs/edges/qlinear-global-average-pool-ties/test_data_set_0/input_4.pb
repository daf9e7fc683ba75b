Bi4J
