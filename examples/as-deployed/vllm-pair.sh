# Two vLLM workers of one host as people start them; FP8 KV was asked for on decode only. One fault: HPD201.
#
# NIXL compares the words that the two engines were given for the KV element type, and refuses the pair after all the
# weights are loaded. Everything else is as it should be: one model, equal TP, two side-channel ports on one host.
# Chosen: model, release (an environment of vLLM 0.24.0 is not visible here: --engine-version 0.24.0 says so).
set -euo pipefail

MODEL=${MODEL:-meta-llama/Llama-3.3-70B-Instruct}
NIXL='{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'

CUDA_VISIBLE_DEVICES=0,1,2,3 VLLM_NIXL_SIDE_CHANNEL_PORT=5600 \
  vllm serve "$MODEL" --port 8100 --tensor-parallel-size 4 --block-size 64 --max-model-len 32768 \
  --kv-transfer-config "$NIXL" > prefill.log 2>&1 &

CUDA_VISIBLE_DEVICES=4,5,6,7 VLLM_NIXL_SIDE_CHANNEL_PORT=5604 \
  vllm serve "$MODEL" --port 8200 --tensor-parallel-size 4 --block-size 64 --max-model-len 32768 \
  --kv-cache-dtype fp8 \
  --kv-transfer-config "$NIXL" > decode.log 2>&1 &

wait
