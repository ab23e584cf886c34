"""The memory of a running process, as a core dump holds it. Needs root, or a process that allows
tracing."""


def regions(pid):
    """Yields (low, high, access, VmFlags) of each mapping."""
    found, current = [], None
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            head = line.split(maxsplit=1)[0]
            if "-" in head and not head.endswith(":"):
                low, high = (int(part, 16) for part in head.split("-"))
                current = (low, high, line.split()[1])
            elif head == "VmFlags:" and current is not None:
                found.append((*current, line.split()[1:]))
    return found


def search_memory(pid, needles):
    """Returns a map from needle to the VmFlags of the mappings that hold it, over all writable
    memory of the process."""
    found = {needle: [] for needle in needles}
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for low, high, access, flags in regions(pid):
            if not access.startswith("rw"):
                continue
            try:
                memory.seek(low)
                data = memory.read(high - low)
            except OSError:
                continue
            for needle in needles:
                if needle in data:
                    found[needle].append(flags)
    return found
