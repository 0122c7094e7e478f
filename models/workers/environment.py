"""What of the server's environment its child processes get: names that they need, no secrets.

Tokens, passwords and addresses of databases stay with the server. A server of `serve:` is given
what its own entry names beside these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

NAMES = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("PYTHONPATH", "PYTHONHASHSEED", "COVERAGE_PROCESS_START"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_MODULES_CACHE", "HF_XET_CACHE"),
        *("SENTENCE_TRANSFORMERS_HOME", "TOKENIZERS_PARALLELISM", "TTS_HOME", "COQUI_TOS_AGREED"),
        *("GPU_DEVICE_ORDINAL", "CUBLAS_WORKSPACE_CONFIG", "MPLCONFIGDIR"),
    )
)
PREFIXES = (
    *("LC_", "XDG_", "MALLOC_", "CUDA_", "NVIDIA_", "NCCL_", "HIP_", "ROCR_", "ROCM_", "HSA_"),
    *("AMD_", "ZE_", "ONEAPI_", "SYCL_", "MIOPEN_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"),
    *("VECLIB_", "NUMEXPR_", "NUMBA_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "TRITON_", "OV_"),
    *("TRANSFORMERS_", "DIFFUSERS_", "OPENVINO_", "ESPEAK_"),
)
"""Of devices, and of the libraries that compute on them."""
SERVER_PREFIXES = ("OLLAMA_", "VLLM_", "LLAMA_", "GGML_", "SGLANG_")
"""Of the model servers that Motet may start, in addition."""
PROXY_NAMES = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"))
"""In either case; for processes that get models from the network."""
HUB_NAMES = PROXY_NAMES | {
    *("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_CACHE"),
    *("HF_ENDPOINT", "HF_HUB_ENABLE_HF_TRANSFER", "HF_HUB_DISABLE_XET", "HF_HUB_ETAG_TIMEOUT"),
    *("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_IMPLICIT_TOKEN"),
}
"""For pulls from the Hugging Face Hub alone."""
SECRET = re.compile(
    r"TOKEN$|KEY$|KEYS$|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS$|PWD$|PRIVATE|CREDENTIAL|AUTH",
    re.IGNORECASE,
)
"""Names that are left out although their prefix is allowed."""


def worker_environment(
    more: Collection[str] = (), environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Choose the variables that a worker gets, and `more` by name."""
    variables = os.environ if environment is None else environment
    return {
        name: value
        for name, value in variables.items()
        if name in more or name.upper() in more or _is_allowed(name, PREFIXES)
    }


def server_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Choose the variables that a started model server gets: it may get models by itself."""
    variables = os.environ if environment is None else environment
    return worker_environment(PROXY_NAMES, variables) | {
        name: value for name, value in variables.items() if _is_allowed(name, SERVER_PREFIXES)
    }


def _is_allowed(name: str, prefixes: tuple[str, ...]) -> bool:
    return name in NAMES or (name.startswith(prefixes) and not SECRET.search(name))
