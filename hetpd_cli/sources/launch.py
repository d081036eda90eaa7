"""What readers of foreign formats find: commands with their environment, and the workers that run them.

A reader of a manifest or a script ends here. :mod:`hetpd_cli.sources.commands` makes settings of a launch, and
:mod:`hetpd_cli.sources.assembly` makes deployments of members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetpd_cli.deployment import Section, Stated
    from hetpd_cli.places import Place
    from hetpd_cli.sources.embedded import Embedded
    from hetpd_cli.sources.problems import Problem


class Word(NamedTuple):
    """A word of a command line, or the value of a variable, after expansion and removal of quotes.

    ``text`` knows where each character comes from: what a variable put in stands where the variable was set.
    ``place`` is where the word itself stands. ``unresolved`` says why a part is not known (``$MODEL is not set in this
    file``); ``text`` then shows that part as it is written.
    """

    text: Embedded
    place: Place
    unresolved: str = ""

    @property
    def value(self) -> str:
        """The characters of the word."""
        return self.text.text


class Launch(NamedTuple):
    """A command with its environment.

    ``words`` begin with the program. ``env`` holds what the container sets, what the script exports and what stands
    before the command, later ones over earlier ones. ``incomplete`` says why there may be further arguments that are
    not among the words (``$EXTRA_ARGS is not set in this file``): what is absent then is not known to be left out.
    """

    words: tuple[Word, ...]
    env: Mapping[str, Word]
    place: Place
    incomplete: str = ""


class Member(NamedTuple):
    """Equal workers as a manifest or a script declares them, before their command is understood.

    ``role`` is what a field, a label or the name says, in this order (``role_by`` says which: ``field``, ``label``,
    ``name``); a role given to the engine on its command line goes before all. ``settings`` is a section of a pool with
    what the manifest itself states: ``accelerator``, ``engine.image``, ``host_network``, ``workers``,
    ``devices_per_worker``, ``hosts``. ``launches`` are the commands of all its containers, main container first;
    ``files`` maps the paths at which it mounts configuration files of the same input to their text.
    ``nodes`` is how many machines one worker spans. ``complete`` tells that an absent setting is the engine's default;
    a patch without its base is not.
    """

    name: str
    place: Place
    role: Stated | None
    role_by: str
    settings: Section
    launches: tuple[Launch, ...]
    files: Mapping[str, Embedded]
    complete: bool = True
    nodes: int = 1


class Group(NamedTuple):
    """Members that one manifest, or one script, puts together.

    ``name`` joins groups of one deployment that come from several documents or files (``labels`` too, where the format
    has any): a prefill and a decode half. ``others`` are commands that launch no engine: routers, proxies.
    ``unresolved`` says why the group cannot be read (a patch whose base is not here). ``joins`` tells that its missing
    half may stand elsewhere; an object that declares a whole deployment has none.
    """

    name: str
    format: str
    place: Place
    members: tuple[Member, ...]
    labels: Mapping[str, str] = {}
    others: tuple[Launch, ...] = ()
    problems: tuple[Problem, ...] = ()
    unresolved: str = ""
    joins: bool = True


VISIBLE = (
    "CUDA_VISIBLE_DEVICES",
    "ASCEND_RT_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
    "HABANA_VISIBLE_MODULES",
)
"""Variables that list the devices that a process sees."""
