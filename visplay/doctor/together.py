"""What processes have found together: the sum over all of them, and each other's files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from visplay.doctor.findings import OK, Finding, error, gib, ok, warning
from visplay.doctor.probing import Heard

_SHARE = "put --out on a file system that all nodes share"


def judge_meeting(heard: Heard, refused: bool, environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """`refused` says that the folder was found unfit before, which is no news."""
    found = [judge_sum(heard.facts["reduced"])] if "reduced" in heard.facts else [_not_met(heard, environment)]
    if "seen" in heard.facts:
        found += [judge_sight(heard.facts["seen"])] if not refused else []
        found += judge_told(heard.facts)
    elif "reduced" in heard.facts and not refused:
        found.append(error("shared", f"not found out: {heard.failed}", f"try again; if it stays so, {_SHARE}"))
    return found


def judge_folder(facts: Mapping[str, Any], folder: str, needed: int) -> list[Finding]:
    """`facts` is the probe's `folder`. `needed` are the bytes that a run keeps at least, 0 where it is not known."""
    found = []
    if facts["refused"]:
        way_out = "choose another --out; on Lustre locks need the mount option flock"
        found.append(error("folder", f"{folder} does not let a run {facts['refused']}", way_out))
    free = f"{gib(facts['free'])} are free in {folder}"
    if facts["free"] < needed:
        way_out = "choose another --out, fewer iterations, or delete old runs"
        return [*found, error("disk", f"{free}, and its checkpoints need {gib(needed)} at least", way_out)]
    if facts["free"] < 2**30:
        return [*found, warning("disk", free, "make room, or choose another --out")]
    return [*found, ok("disk", free)]


def judge_sum(facts: Mapping[str, Any]) -> Finding:
    """`facts` is the probe's `reduced`."""
    nodes = len(set(facts["hosts"]))
    of = f"{facts['count']} process{'es' if facts['count'] > 1 else ''} on {nodes} node{'s' if nodes > 1 else ''}"
    said = f"{facts['backend']}, {of}, {facts['bytes'] / 2**20:.0f} MiB in {facts['seconds'] * 1000:.1f} ms"
    if not facts["right"]:
        way_out = "the connection or a GPU is faulty: leave GPUs out until it is right; NCCL_P2P_DISABLE=1 may help"
        return error("all-reduce", f"{said}: a wrong sum", way_out)
    return ok("all-reduce", said)


def judge_sight(seen: list[Mapping[str, Any]]) -> Finding:
    """`seen` is the probe's, a mapping for each process."""
    blind = sorted({one["host"] for one in seen if one["unseen"]})
    if blind:
        return error("shared", f"files that others have written are not seen on {', '.join(blind)}", _SHARE)
    if deaf := sorted({one["host"] for one in seen if not one["lock_felt"]}):
        way_out = "nothing would stop a second launch on the same run: never start two; NFS: mount without local_lock"
        return warning("shared", f"all files are seen, but locks are not felt on {', '.join(deaf)}", way_out)
    return ok("shared", f"each of {len(seen)} processes sees the files of all, and feels the lock of the first")


def judge_told(facts: Mapping[str, Any]) -> list[Finding]:
    """What other nodes had to complain about before they met the first one."""
    hosts = [one["host"] for one in facts["seen"]]
    return [
        Finding(**told).on(host)
        for host, complaints in zip(hosts, facts["told"], strict=True)
        for told in complaints or ()
        if told["status"] != OK
    ]


def _not_met(heard: Heard, environment: Mapping[str, str]) -> Finding:
    address = f"{environment.get('MASTER_ADDR', '127.0.0.1')}:{environment.get('MASTER_PORT', 'a free port')}"
    rank, count = environment.get("RANK"), environment.get("WORLD_SIZE")
    who = f"process {rank} of {count}: " if rank else ""
    way_out = (
        f"every process must start, and reach {address}: look at firewalls, and name the network between the nodes "
        "by NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME. NCCL_DEBUG=INFO and TORCH_DISTRIBUTED_DEBUG=DETAIL say more"
    )
    return error("all-reduce", f"{who}{heard.failed}", way_out)
