
BmJÛLùL+MÉLíLŠM8M­L