# The zoo: every network by name.
# Licensed under Apache-2.0 WITH LLVM-exception.
from . import bert, efficientnet, gpt2, lstm, mlp, mobilenet, resnet, stress, unet, vit

FAMILIES = (resnet, mobilenet, efficientnet, unet, bert, vit, gpt2, lstm, mlp, stress)
# Name to the module that builds it: `module.build(name, seed, batch)` gives a builder.Model.
MODELS = {name: family for family in FAMILIES for name in family.SIZES}
