#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""The steps of doc/first-programs.md, for scripts/first-programs.sh.

split PAGE DIR: what the page has saved and run, as files of DIR: NN.save with NAME, where a line says to save something, and NN.sh
where a block does something; NN.title. The text to save is a block of the page, or the first of its language in another page.
join PAGE DIR: the page on standard output with what NN.out, NN.seconds and NN.mb say in place of what it said before.
readme PAGE DIR: the same with what scripts/newcomer.sh left in DIR, NN.title, NN.out and NN.seconds.
"""
import os
import re
import sys
from typing import Dict, Iterator, List, Tuple

SAVE = re.compile(r"Save (?:the program of \[[^]]*\]\(([^)]+)\)|this) as `([^`]+)`")
LANGUAGES = {"c": "c", "cpp": "cpp", "py": "python", "js": "js", "java": "java", "cs": "csharp", "cfg": "haproxy"}
RAN, END, TABLE, README = "<!-- ran -->", "<!-- end -->", "<!-- times -->", "<!-- readme -->"
# What the README's commands say that others want to know: what is installed, how long each stage took, and the results.
TELLS = re.compile(r"installing what is missing:|    with what these need:|--- |[0-9]+ stages in |[0-9]+ passed, |Report: ")


def block(path: str, language: str, after: int = 0) -> str:
    """The first block of a language in a file, from a line on; a file that is no page is all of it."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    if not path.endswith(".md"):
        return "\n".join(lines)
    start = lines.index("```" + language, after) + 1
    return "\n".join(lines[start:lines.index("```", start)]) + "\n"


def steps(page: str) -> Iterator[Tuple[str, str, str, int]]:
    """Kind (save or sh), title or name, text, and its last line."""
    with open(page, encoding="utf-8") as file:
        lines = file.read().split("\n")
    title = ""
    for at, line in enumerate(lines):
        if line.startswith("## "):
            title = line[3:]
        for path, name in SAVE.findall(line):
            source = os.path.join(os.path.dirname(page), path) if path else page
            yield "save", name, block(source, LANGUAGES[name.rsplit(".", 1)[-1]], 0 if path else at), at
        if line == "```sh":
            end = lines.index("```", at)
            yield "sh", title, "\n".join(lines[at + 1:end]) + "\n", end


def split(page: str, folder: str) -> None:
    for number, (kind, name, text, _) in enumerate(steps(page)):
        stem = os.path.join(folder, f"{number:02}")
        with open(f"{stem}.{kind}", "w", encoding="utf-8") as file:
            file.write(text)
        with open(f"{stem}.title", "w", encoding="utf-8") as file:
            file.write(name)


def said(folder: str, number: int, *kinds: str) -> Dict[str, str]:
    result = {}
    for kind in kinds:
        with open(os.path.join(folder, f"{number:02}.{kind}"), encoding="utf-8") as file:
            result[kind] = file.read().strip("\n")
    return result


def machine(folder: str) -> str:
    with open(os.path.join(folder, "machine"), encoding="utf-8") as file:
        return file.read().strip()


def without(lines: List[str], start: str) -> Iterator[Tuple[int, str]]:
    """The lines with their places, except what was written between a mark and the end."""
    inside = False
    for at, line in enumerate(lines):
        if line == start:
            inside = True
        if not inside:
            yield at, line
        if line == END:
            inside = False


def join(page: str, folder: str) -> str:
    with open(page, encoding="utf-8") as file:
        lines = file.read().split("\n")
    ran = {end: (number, name, sh) for number, (kind, name, sh, end) in enumerate(steps(page)) if kind == "sh"}
    rows: Dict[str, List[float]] = {}  # by title: seconds of apt-get, MB, seconds of the rest
    text = []
    for at, line in without(lines, RAN):
        text.append(line)
        if at in ran:
            number, name, sh = ran[at]
            result = said(folder, number, "out", "seconds", "mb")
            more = "" if result["mb"] in ("", "0") else f", and {result['mb']} MB more on disk"
            text += [RAN, f"{result['seconds']} s{more}."]
            if result["out"]:
                text += ["", "```text", result["out"], "```"]
            text += [END]
            row, seconds = rows.setdefault(name, [0, 0, 0]), float(result["seconds"])
            row[0 if sh.startswith("apt-get ") else 2] += seconds
            row[1] += int(result["mb"])
    table = ["| step | installation | more on disk | the rest |", "|---|---:|---:|---:|"]
    table += [f"| {name} | {row[0]:.1f} s | {row[1]:.0f} MB | {row[2]:.1f} s |" for name, row in rows.items()] + ["", machine(folder)]
    at = text.index(TABLE) + 1
    return "\n".join(text[:at] + table + text[text.index(END, at):])


def telling(output: str) -> Iterator[str]:
    """Of what a command of the README has said, the lines that TELLS names, and the table of loads."""
    table = False
    for line in output.split("\n"):
        table = table or line.startswith("scenario  ")
        if table or TELLS.match(line):
            yield line
        table = table and not line.startswith("check: ")


def readme(page: str, folder: str) -> str:
    with open(page, encoding="utf-8") as file:
        before, _, rest = file.read().partition(README + "\n")
    text = []
    for number in range(sum(name.endswith(".title") for name in os.listdir(folder))):
        result = said(folder, number, "title", "out", "seconds")
        text += [f"`{result['title']}`: {int(result['seconds']):,} s.", ""]
        lines = list(telling(result["out"]))
        if lines:
            text += ["```text"] + lines + ["```", ""]
    return before + "\n".join([README] + text + [machine(folder), ""]) + rest[rest.index(END):]


if __name__ == "__main__":
    if sys.argv[1] == "split":
        split(sys.argv[2], sys.argv[3])
    else:
        sys.stdout.write({"join": join, "readme": readme}[sys.argv[1]](sys.argv[2], sys.argv[3]))
