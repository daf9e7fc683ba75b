// Operators that are known and cannot be imported, each with its reason.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Compiler.h"
#include "lib/Import/Operators.h"

using namespace lathe;
using namespace lathe::import;
using llvm::StringRef;

namespace {
/// Operators that share a domain, the opset that brought them, and a reason.
struct Group {
  StringRef domain;
  int64_t since;
  StringRef reason;
  std::initializer_list<StringRef> names;
};
} // namespace

static const Group groups[] = {
    {"", 20, "reads image files, which is not what a compiled model is for", {"ImageDecoder"}},
    {"ai.onnx.preview.training",
     1,
     "needs automatic differentiation, which comes later",
     {"Gradient"}},
    {"com.microsoft",
     1,
     "the loop around a decoder, which belongs to the program that runs the model",
     {"BeamSearch", "BifurcationDetector", "GreedySearch", "NGramRepeatBlock", "Sampling",
      "SpeculativePrefixCommit", "WhisperBeamSearch"}},
    {"com.microsoft",
     1,
     "for training",
     {"BiasDropout", "BitmaskBiasDropout", "BitmaskDropout", "IsAllFinite"}},
    {"com.microsoft", 1, "holds code or data of another compiler", {"EPContext", "Snpe"}},
    {"com.microsoft",
     1,
     "written by the optimizer of ONNX Runtime when it loads a model, not by exporters: save the "
     "model before that",
     {"BiasAdd", "BiasSoftmax", "BiasSplitGelu", "FusedMatMulActivation", "GemmFastGelu",
      "MatMulFpQ4", "MatMulNBitsMlp", "MatMulNBitsQLoRA", "MatMulNBitsQkv", "MatMulPacked",
      "NhwcConv", "NhwcFusedConv", "QEmbedLayerNormalization"}},
    {"com.microsoft",
     1,
     "runs on GPUs only, where it comes from",
     {"DecoderAttention",
      "DecoderMaskedMultiHeadAttention",
      "DecoderMaskedSelfAttention",
      "DequantizeWithOrder",
      "GatedRelativePositionBias",
      "GemmFloat8",
      "GroupNorm",
      "LongformerAttention",
      "PackedAttention",
      "PackedMultiHeadAttention",
      "PagedAttention",
      "QOrderedAttention",
      "QOrderedGelu",
      "QOrderedLayerNormalization",
      "QOrderedLongformerAttention",
      "QOrderedMatMul",
      "QuantizeWithOrder",
      "RelativePositionBias",
      "RemovePadding",
      "RestorePadding",
      "SkipGroupNorm",
      "SparsePagedAttention"}},
    {"com.microsoft",
     1,
     "mixtures of experts are not compiled yet",
     {"MoE", "MoEGroupRouter", "MoEPacked", "QMoE", "RouterGateUpProj"}},
    {"com.microsoft",
     1,
     "text is cut into words by the program that runs the model",
     {"Tokenizer", "WordConvEmbedding", "MurmurHash3", "NGramHashMapping",
      "VarlenNGramHashMapping"}},
    {"com.microsoft",
     1,
     "newer than the models that were met",
     {"BranchwiseRMSNorm",
      "CausalConvWithState",
      "ConvStateReplay",
      "DynamicSparseAttention",
      "EngramGate",
      "GatedAdd",
      "GatedDeltaNet",
      "GatedDeltaNetStateReplay",
      "GatedRMSNorm",
      "GatherPacked",
      "HyperConnectionLowRankMix",
      "HyperConnectionPostMix",
      "HyperConnectionPreMix",
      "LinearAttention",
      "LinearAttentionGate",
      "MRotaryEmbedding",
      "Mamba2Verify",
      "MatMulBlockQuantizedFp4Weight",
      "MatMulBlockQuantizedFp8Weight",
      "PackedSparseAttentionIndexer",
      "PackedSparseAttentionIndexerMerge",
      "RMSNormRotary",
      "SparseAttentionIndexer",
      "SwiGLU",
      "VarlenCausalConvWithState"}},
    {"com.microsoft",
     1,
     "no model that was met has it",
     {"AttnLSTM",
      "CDist",
      "ComplexMul",
      "ComplexMulConj",
      "ConvTransposeWithDynamicPads",
      "CropAndResize",
      "DequantizeBFP",
      "DynamicTimeWarping",
      "GemmaRotaryEmbedding",
      "GridSample",
      "Inverse",
      "Irfft",
      "MatMulBnb4",
      "MatMulInteger16",
      "MaxpoolWithMask",
      "MulInteger",
      "Pad",
      "QLinearReduceMean",
      "QuantizeBFP",
      "ReduceSumInteger",
      "Rfft",
      "SampleOp",
      "SparseAttention",
      "SparseToDenseMatMul",
      "TorchEmbedding",
      "ExpandDims",
      "ScaledSiLU",
      "UnfoldTensor",
      "Unique"}},
};

StringRef lathe::import::whyUnsupported(StringRef domain, StringRef name) {
  for (const Group &group : groups)
    if (group.domain == domain && llvm::is_contained(group.names, name))
      return group.reason;
  return "";
}

std::vector<UnsupportedOperatorInfo> lathe::listUnsupportedOperators() {
  std::vector<UnsupportedOperatorInfo> infos;
  for (const Group &group : groups)
    for (StringRef name : group.names)
      infos.push_back({group.domain.str(), name.str(), group.since, group.reason.str()});
  llvm::sort(infos, [](const auto &a, const auto &b) {
    return std::tie(a.domain, a.name) < std::tie(b.domain, b.name);
  });
  return infos;
}
