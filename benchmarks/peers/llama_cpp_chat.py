"""Answer one prompt and stream it to stdout, as `greenlight chat -p` does.

python llama_cpp_chat.py FILE.gguf PROMPT MAX_TOKENS THREADS
"""

from __future__ import annotations

import sys

from llama_cpp import Llama


def main() -> None:
    path, prompt, max_tokens, threads = sys.argv[1:]
    n = int(threads)
    model = Llama(model_path=path, n_ctx=2048, n_batch=512, n_threads=n, n_threads_batch=n, verbose=False)
    messages = [{"role": "user", "content": prompt}]
    for piece in model.create_chat_completion(messages, stream=True, max_tokens=int(max_tokens), temperature=0):
        print(piece["choices"][0]["delta"].get("content") or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
