#!/usr/bin/env python3
"""Renders a page of docs/man (a small part of Markdown) as a roff man page on standard output.

usage: tools/manual_to_roff.py PAGE.SECTION.md

The part of Markdown: `# name(section): what` first; `## HEADING`; `### Subheading`; paragraphs; `- ` lists of one line each;
blocks indented by four spaces, verbatim; terms with their explanation:
    **term**
    :   explanation, further lines indented by four spaces
and in text **bold**, *italic*, `literal`. Anything else is an error with its line.
"""
import os
import re
import sys


class Page:
    def __init__(self, path):
        self.path = path
        self.out = []
        with open(path, encoding="utf-8") as f:
            self.lines = f.read().split("\n")

    def fail(self, number, sentence):
        sys.exit(f"{self.path}:{number + 1}: {sentence}")


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    for sign, name in (("\u2026", "..."), ("\u2018", "\\(oq"), ("\u2019", "\\(cq"), ("'", "\\(aq"), ("^", "\\(ha"), ("~", "\\(ti")):
        text = text.replace(sign, name)
    return "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)


def inline(page, number, text):
    """**bold**, *italic* and `literal` to fonts; pieces between backticks are left as they are."""
    out = []
    for i, piece in enumerate(text.split("`")):
        if i % 2 == 1:
            out.append(f"\\fB{escape(piece)}\\fP")
            continue
        piece = escape(piece)
        piece = re.sub(r"\*\*(.+?)\*\*", r"\\fB\1\\fP", piece)
        piece = re.sub(r"(?<![\w*])\*([^*\s][^*]*?)\*(?!\w)", r"\\fI\1\\fP", piece)
        if "*" in piece:
            page.fail(number, "a * that opens or closes nothing")
        out.append(piece)
    if text.count("`") % 2 == 1:
        page.fail(number, "a ` that is not closed on its line's paragraph")
    return "".join(out)


def protect(line):
    """A line that begins with . or ' would be a command."""
    return "\\&" + line if line[:1] in (".", "'") else line


def paragraph(page, start, stop=lambda line: False):
    """Lines up to an empty one, joined. Returns the text and the index behind it."""
    at, words = start, []
    while at < len(page.lines) and page.lines[at].strip() and not (at > start and stop(page.lines[at])):
        words.append(page.lines[at].strip())
        at += 1
    return " ".join(words), at


def heading(page):
    found = re.fullmatch(r"# ([\w.-]+)\((\d)\): (.+)", page.lines[0])
    if not found:
        page.fail(0, "the first line should be `# name(section): what it is`")
    name, section, _ = found.groups()
    if os.path.basename(page.path) != f"{name}.{section}.md":
        page.fail(0, f"this is the page {name}({section}), so the file should be {name}.{section}.md")
    page.out.append(f'.TH "{escape(name.upper())}" "{section}" "" "Postrider" "Postrider manual"')
    page.out += [".nh", ".ad l"]


def verbatim(page, at):
    page.out += [".PP", ".RS 4", ".nf"]
    while at < len(page.lines) and (page.lines[at].startswith("    ") or not page.lines[at].strip()):
        if not page.lines[at].strip() and not (at + 1 < len(page.lines) and page.lines[at + 1].startswith("    ")):
            break
        page.out.append(protect(escape(page.lines[at][4:])))
        at += 1
    page.out += [".fi", ".RE"]
    return at


def definition(page, at):
    page.out += [".TP", protect(inline(page, at, page.lines[at].strip()))]
    at += 1
    text, end = paragraph(page, at)
    page.out.append(protect(inline(page, at, text[1:].strip())))
    return end


def block(page, at):
    line = page.lines[at]
    following = page.lines[at + 1] if at + 1 < len(page.lines) else ""
    if line.startswith("### "):
        page.out.append(f".SS {inline(page, at, line[4:])}")
        return at + 1
    if line.startswith("## "):
        page.out.append(f".SH {inline(page, at, line[3:])}")
        return at + 1
    if line.startswith("    "):
        return verbatim(page, at)
    if following.startswith(":   "):
        return definition(page, at)
    if line.startswith("- "):
        page.out += [".IP \\(bu 2", protect(inline(page, at, line[2:]))]
        return at + 1
    if re.match(r"#|:|>|\||```|\d+\. |\* ", line):
        page.fail(at, f"`{line[:20]}` is not among what this tool can render")
    text, end = paragraph(page, at, lambda l: l.startswith("- "))
    page.out += [".PP", protect(inline(page, at, text))]
    return end


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 64
    page = Page(sys.argv[1])
    heading(page)
    at = 1
    while at < len(page.lines):
        at = at + 1 if not page.lines[at].strip() else block(page, at)
    print("\n".join(page.out))
    return 0


sys.exit(main())
