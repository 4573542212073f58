"""What a network in a file may be made of: names of Keras, each by its module.

What is left out runs code, opens files, asks the network, keeps Python functions, or makes as many operations as a
number in the file says.
"""

from __future__ import annotations

__all__: list[str] = []


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _sizes(stem: str, *dimensions: int) -> str:
    return " ".join(f"{stem}{d}D" for d in dimensions)


_LAYERS = f"""
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average BatchNormalization
    Bidirectional Concatenate Dense Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell GaussianDropout
    GaussianNoise GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU
    Masking Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN ReLU
    RepeatVector Rescaling Reshape ReversibleEmbedding SimpleRNN SimpleRNNCell Softmax SpectralNormalization
    StackedRNNCells Subtract UnitNormalization
    {_sizes("AveragePooling", 1, 2, 3)} {_sizes("Conv", 1, 2, 3)} {_sizes("ConvLSTM", 1, 2, 3)}
    {_sizes("Cropping", 1, 2, 3)} {_sizes("DepthwiseConv", 1, 2)} {_sizes("GlobalAveragePooling", 1, 2, 3)}
    {_sizes("GlobalMaxPooling", 1, 2, 3)} {_sizes("MaxPooling", 1, 2, 3)} {_sizes("SeparableConv", 1, 2)}
    {_sizes("SpatialDropout", 1, 2, 3)} {_sizes("UpSampling", 1, 2, 3)} {_sizes("ZeroPadding", 1, 2, 3)}
    Conv1DTranspose Conv2DTranspose Conv3DTranspose
"""
_NUMPY = """
    Abs Absolute Add All Amax Amin Any Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argsort
    Average BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BroadcastTo Ceil Clip Concatenate Copy Cos Cosh CountNonzero
    Cumprod Cumsum Diff Divide DivideNoNan Dot Einsum Equal Exp Exp2 ExpandDims Expm1 Flip Floor FloorDivide FullLike
    GetItem Greater GreaterEqual Hstack Hypot Isfinite Isinf Isnan Less LessEqual Log Log10 Log1p Log2 Logaddexp
    LogicalAnd LogicalNot LogicalOr LogicalXor Matmul Max Maximum Mean Median Min Minimum Mod Moveaxis Multiply
    NanToNum Negative NotEqual OnesLike Pad Power Prod Ravel Reciprocal Repeat Reshape Roll Round Sign Sin Sinh Sort
    Split Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Transpose Tril
    Triu TrueDivide Trunc Var Vdot Vstack Where ZerosLike
"""
_NN = """
    AveragePool BatchNorm Celu Conv ConvTranspose DepthwiseConv DotProductAttention Elu Gelu Glu HardShrink HardSigmoid
    HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments Normalize OneHot RMSNorm Relu Relu6 Selu
    SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign SparsePlus SparseSigmoid Sparsemax Squareplus
    TanhShrink Threshold
"""
_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
"""
KNOWN = {
    "keras": frozenset({"DTypePolicy", "Functional", "Sequential"}),
    "keras.models": frozenset({"Functional", "Sequential"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.layers": _words(_LAYERS),
    "keras.initializers": _words(_INITIALIZERS),
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.random": frozenset({"SeedGenerator"}),
    # operations, as functional networks made with keras.ops keep them
    "keras.src.ops.core": frozenset({"Cast", "SaturateCast", "Slice", "StopGradient"}),
    "keras.src.ops.numpy": _words(_NUMPY),
    "keras.src.ops.nn": _words(_NN),
    "keras.src.ops.math": frozenset({"Erf", "Logsumexp", "RFFT", "Rsqrt", "TopK"}),
    "keras.src.ops.linalg": frozenset({"Norm"}),
}
SPECIAL = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__"})
ACTIVATION_KEYS = frozenset({"activation", "recurrent_activation"})
ACTIVATIONS = _words("""
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
""")
NUMBERS = _words("""
    bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64
""")
DTYPES = NUMBERS | {"mixed_float16", "mixed_bfloat16"}
# quantised, low-rank and stateful layers have variables that the file of their weights does not
MUST_BE_UNSET = _words("""
    lora_rank lora_alpha quantization_config quantization_mode gptq_config awq_config input_tensor sparse ragged
    stateful
""")
LONG_LISTS = frozenset({"layers", "cells", "mean", "variance", "value", "input_layers", "output_layers"})
# greatest absolute value of a whole number, by class and key
LIMITS = {
    ("SpectralNormalization", "power_iterations"): 32,
    ("Split", "indices_or_sections"): 1024,
    ("UpSampling1D", "size"): 4096,
    ("UpSampling2D", "size"): 256,
    ("UpSampling3D", "size"): 64,
}
