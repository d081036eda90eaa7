"""What a container runs: its environment, mounted files and command, by the rules of Kubernetes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hetpd_cli.sources.commands.program import serves_vllm
from hetpd_cli.sources.embedded import Embedded, join
from hetpd_cli.sources.kubernetes.nodes import at, is_null, items, pairs, text
from hetpd_cli.sources.launch import Launch, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hetpd_cli.places import Place
    from hetpd_cli.sources.kubernetes.objects import Inputs
    from hetpd_cli.sources.tree import Node

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_COST = 64
"""What a file or variable costs that is put in from elsewhere, in characters."""


def expanded(value: Embedded, env: Mapping[str, Word], inputs: Inputs) -> tuple[Embedded, str]:
    """Return a text with ``$(NAME)`` replaced, and why a part of it is not known.

    ``$$`` is a dollar sign, and a name that is not set stays as it is written. Source: Kubernetes API, Container.args.
    """
    pieces, done, unresolved = [], 0, ""
    for found in _REFERENCE.finditer(value.text):
        pieces.append(value[done : found.start()])
        done = found.end()
        if found[1] is None:
            pieces.append(value[found.start() : found.start() + 1])
            continue
        word = env.get(found[1])
        if word is None or not inputs.spend(len(word.value) + len(word.text.pieces)):
            pieces.append(value[found.start() : found.end()])
            unresolved = unresolved or f"$({found[1]}) is not set in this file"
        else:
            pieces.append(word.text)
            unresolved = unresolved or word.unresolved
    return (value if not pieces else join([*pieces, value[done:]])), unresolved


def environment(
    container: Node, before: Iterable[Node], variables: Mapping[str, Node | str], inputs: Inputs, place: Place
) -> dict[str, Word]:  # fmt: skip
    """Return the variables of a container: a controller's ``variables``, the lists ``before``, then its own."""
    env: dict[str, Word] = {}
    for name, known in variables.items():
        if isinstance(known, str):
            env[name] = Word(inputs.put_in(f"$({name})", place), place, f"{name} is {known}")
        else:
            env[name] = Word(inputs.embedded(known), known.place)
    for source in items(container.get("envFrom")):
        env |= _from_source(source, inputs)
    for listed in (*before, container.get("env")):
        for one in items(listed):
            word = _variable(one, env, inputs)
            if word is not None:
                env[text(one.get("name"))] = word
    return env


def _from_source(source: Node, inputs: Inputs) -> Iterator[tuple[str, Word]]:
    data = inputs.config_map(text(at(source, "configMapRef", "name")))
    prefix = text(source.get("prefix"))
    for name, _, value in pairs(data):
        if value.kind == "scalar" and inputs.spend(_COST):
            yield prefix + name, Word(inputs.embedded(value), value.place)


def _variable(one: Node, env: Mapping[str, Word], inputs: Inputs) -> Word | None:
    name, value, source = one.get("name"), one.get("value"), one.get("valueFrom")
    if name is None or not text(name):
        return None
    if source is None or is_null(source):
        if value is None or value.kind != "scalar":
            return Word(Embedded("", []), name.place)
        found, unresolved = expanded(inputs.embedded(value) if text(value) else Embedded("", []), env, inputs)
        return Word(found, value.place, unresolved)
    key = at(source, "configMapKeyRef", "key")
    config = text(at(source, "configMapKeyRef", "name"))
    held = at(inputs.config_map(config), text(key))
    if held is not None and held.kind == "scalar":
        return Word(inputs.embedded(held), held.place)
    return Word(inputs.put_in(f"$({text(name)})", name.place), name.place, f"{text(name)} is {_why(source, config)}")


def _why(source: Node, config: str) -> str:
    field = at(source, "fieldRef", "fieldPath") or at(source, "resourceFieldRef", "resource")
    if field is not None:
        return f"known only when the pod runs ({text(field)})"
    if source.get("secretKeyRef") is not None:
        return "kept in a Secret"
    return f"kept in the ConfigMap {config}, which is not among the inputs" if config else "set from elsewhere"


def files(container: Node, pod: Node, inputs: Inputs) -> dict[str, Embedded]:
    """Return the files that a container sees of ConfigMaps in the input, by their paths."""
    found: dict[str, Embedded] = {}
    volumes = {text(volume.get("name")): volume for volume in items(pod.get("volumes"))}
    for mount in items(container.get("volumeMounts")):
        volume = volumes.get(text(mount.get("name")))
        path, part = text(mount.get("mountPath")), text(mount.get("subPath"))
        if volume is None or not path:
            continue
        for name, value in _held(volume, inputs):
            if not part:
                found[f"{path.rstrip('/')}/{name}"] = inputs.embedded(value)
            elif name == part:
                found[path] = inputs.embedded(value)
            elif name.startswith(part.rstrip("/") + "/"):
                found[path.rstrip("/") + name[len(part.rstrip("/")) :]] = inputs.embedded(value)
    return found


def _held(volume: Node, inputs: Inputs) -> Iterator[tuple[str, Node]]:
    """Yield name and content of each file of a volume."""
    sources = [volume.get("configMap"), *(one.get("configMap") for one in items(at(volume, "projected", "sources")))]
    for source in sources:
        data = None if source is None else inputs.config_map(text(source.get("name")))
        chosen = items(None if source is None else source.get("items"))
        renamed: dict[str, list[str]] = {}
        for one in chosen:
            renamed.setdefault(text(one.get("key")), []).append(text(one.get("path")))
        for name, _, value in pairs(data):
            paths = renamed.get(name, []) if chosen else [name]
            if not inputs.spend(_COST):
                return
            if value.kind == "scalar":
                yield from ((path, value) for path in paths if path)


def arguments(container: Node, key: str, env: Mapping[str, Word], inputs: Inputs) -> list[Word]:
    """Return the words under ``command`` or ``args``, expanded."""
    held = container.get(key)
    found = []
    for item in items(held):
        if item.kind == "scalar":
            value, unresolved = expanded(inputs.embedded(item), env, inputs)
            if item.source.count("\n") == 0 and not unresolved:
                unresolved = substituted(item.source)
            found.append(Word(value, item.place, unresolved))
    return found


_SUBSTITUTED = re.compile(r"(?:^|[=/:])(\$\{[A-Z_][A-Z0-9_]*\})")


def substituted(value: str) -> str:
    """Return why a value is not known that holds ``${NAME}``, which only a tool before Kubernetes replaces."""
    found = _SUBSTITUTED.search(value)
    return f"{found[1]} is not set in this file" if found and " " not in value else ""


def launches(
    words: list[Word], env: Mapping[str, Word], mounted: Mapping[str, Embedded], inputs: Inputs
) -> list[Launch]:  # fmt: skip
    """Return the commands that ``words`` run: themselves, or those of the script that they give to a shell."""
    return _launches(words, env, mounted, inputs, 0) if words else []


def _launches(
    words: Sequence[Word], env: Mapping[str, Word], mounted: Mapping[str, Embedded], inputs: Inputs, depth: int
) -> list[Launch]:  # fmt: skip
    script: Embedded | None = None
    rest: Sequence[Word] = ()
    if words[0].value.rpartition("/")[2] in _SHELLS:
        inline, index = _shell_options(words)
        if index < len(words):
            script = words[index].text if inline else _mounted(words[index].value, mounted)
            # Behind the text of `-c` stands `$0`; a file's path is its own.
            rest = words[index + 2 :] if inline else words[index + 1 :]
    else:
        script, rest = _mounted(words[0].value, mounted), words[1:]
    if script is None or depth >= _DEEPEST or not inputs.spend(_PARSED * len(script.text)):
        return [Launch(tuple(words), env, words[0].place)]
    from hetpd_cli.sources.shell import commands

    found: list[Launch] = []
    for launch in commands(script, env, arguments=rest):
        calls = bool(launch.words) and _calls_script(launch.words, mounted)
        found += _launches(launch.words, launch.env, mounted, inputs, depth + 1) if calls else [launch]
    return found


_PARSED = 4
"""What a character of a script costs."""

_DEEPEST = 4
"""Scripts that call each other."""


def _calls_script(words: Sequence[Word], mounted: Mapping[str, Embedded]) -> bool:
    if words[0].value.rpartition("/")[2] not in _SHELLS:
        return _mounted(words[0].value, mounted) is not None
    inline, index = _shell_options(words)
    return inline or (index < len(words) and _mounted(words[index].value, mounted) is not None)


def _mounted(path: str, mounted: Mapping[str, Embedded]) -> Embedded | None:
    """Return the mounted file at ``path``; one without a directory is any of its name, if there is but one."""
    if path in mounted or path.startswith("/"):
        return mounted.get(path)
    bare = path.removeprefix("./")
    same = [text_ for name, text_ in mounted.items() if bare and name.endswith("/" + bare)]
    return same[0] if len(same) == 1 and bare.endswith(".sh") else None


def _shell_options(words: Sequence[Word]) -> tuple[bool, int]:
    """Return whether a script stands in place (``-c``), and the number of the first word that is no option."""
    inline, index = False, 1
    while index < len(words) and words[index].value[:1] in {"-", "+"}:
        option = words[index].value
        index += 1
        if option in {"-", "--"}:
            break
        if option.startswith("--"):
            continue
        inline = inline or "c" in option
        index += option.endswith(("o", "O"))
    return inline, index


_PROGRAMS = frozenset({
    "vllm", "trtllm-serve", "trtllm-llmapi-launch", "sglang", "mpirun", "ray", "nsys", "numactl", "env", "tini",
})  # fmt: skip
_EXECUTABLE = re.compile(r"/bin/|\.(?:sh|py)\Z")
_INTERPRETER = re.compile(r"(?:python|pypy)[\d.]*\Z")
_SIMULATOR = re.compile(r"(?:^|[-_.])(?:sim|simulator|mock|mocker|mocked)(?:$|[-_.])")
_SGLANG_FLAGS = re.compile(r"--(?:model-path|disaggregation-|tp-size|tp\b|dp-size|mem-fraction-static|page-size)")
_VLLM_FLAGS = re.compile(
    r"--(?:kv[-_]transfer[-_]config|tensor-parallel-size|max-model-len|gpu-memory-utilization|max-num-seqs|"
    r"max-num-batched-tokens|data-parallel-|enable-expert-parallel|served-model-name|enforce-eager|block-size)"
)


def with_entrypoint(container: Node, args: list[Word], inputs: Inputs, kind: str = "") -> list[Word]:
    """Return ``args`` of a container without a command, behind what the image starts.

    Images of vLLM start ``vllm serve`` (releases before 0.11 the same server as a module); those of SGLang and
    TensorRT-LLM start what the arguments name. ``kind`` is the component's type in Dynamo, whose frontends have a
    default command.
    """
    image = container.get("image")
    name = container.get("name")
    place = next((node.place for node in (image, name, container) if node is not None), container.place)
    program = _entrypoint(text(image), text(name), args, kind)
    return [*(Word(inputs.put_in(word, place), place) for word in program), *args]


def _entrypoint(image: str, name: str, args: list[Word], kind: str) -> tuple[str, ...]:
    if kind == "frontend" and not args:
        return ("python3", "-m", "dynamo.frontend")
    if not args:
        return ()
    first = args[0].value
    program = first.rpartition("/")[2]
    if first == "-m":
        return ("python3",)
    if program in _PROGRAMS or program in _SHELLS or _INTERPRETER.match(program) or _EXECUTABLE.search(first):
        return ()
    bare = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    flags = " ".join(word.value for word in args if word.value.startswith("--"))
    if _SIMULATOR.search(bare):
        # It takes an engine's arguments and answers like one, but there is no KV and nothing to hand over.
        return (bare,)
    if any(word in bare for word in ("sidecar", "router", "proxy", "scheduler", "epp", "downloader", "runtime")):
        return (bare,)
    for where in (bare, image.lower(), name.lower()):
        if "sglang" in where:
            return ("python3", "-m", "sglang.launch_server")
        if "vllm" in where or "llm-d" in where:
            return ("vllm",) if first == "serve" else ("vllm", "serve")
        if "tensorrt" in where or "trtllm" in where:
            return ("trtllm-serve",)
    if _SGLANG_FLAGS.search(flags):
        return ("python3", "-m", "sglang.launch_server")
    if _VLLM_FLAGS.search(flags):
        return ("vllm",) if first == "serve" else ("vllm", "serve")
    return (bare,) if bare else ()


_ENGINE_MODULES = re.compile(
    r"(?:vllm\.(?!.*(?:router|proxy|bench))|sglang\.(?!.*(?:mini_lb|router|bench))|tensorrt_llm\.|vllm_ascend\.|"
    r"dynamo\.(?:vllm|sglang|trtllm|mocker|llama_cpp)\b|lmcache_vllm\.)"
)
_ENGINE_PROGRAMS = frozenset({"vllm", "trtllm-serve", "trtllm-llmapi-launch"})
_ENGINE_SCRIPT = re.compile(r"(?:launch_server|api_server|dynamo/(?:vllm|sglang|trtllm))[\w/]*\.py\Z")


def is_engine(launch: Launch) -> bool:
    """Tell whether a command starts an engine, itself or behind a wrapper such as ``mpirun``."""
    values = [word.value for word in launch.words[:_LONGEST_WRAPPER]]
    if "vllm" in values[0] and values[1:2] == ["serve"]:
        return True
    for number, value in enumerate(values):
        program = value.rpartition("/")[2]
        following = values[number + 1] if number + 1 < len(values) else ""
        if program in _ENGINE_PROGRAMS and following not in {"bench", "--version", "-v", "collect-env", "chat"}:
            return number == 0 or program != "vllm" or following == "serve"
        if (program == "sglang" and following == "serve") or serves_vllm(launch.words, number):
            return True
        if value == "-m" and _ENGINE_MODULES.match(following):
            return True
        if _ENGINE_SCRIPT.search(value):
            return True
    return False


_LONGEST_WRAPPER = 64


def is_bare(launch: Launch) -> bool:
    """Tell whether an engine is started without any argument, as a base leaves it to those that patch it."""
    longest = 2 if launch.words[0].value.rpartition("/")[2] in {"vllm", "sglang"} else 3
    return len(launch.words) <= longest and is_engine(launch)
