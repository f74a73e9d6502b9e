"""A screen of a terminal as an SVG picture: what tmux tells of it with "capture-pane -e"."""

import html
import re
import unicodedata

COLUMN, ROW, MARGIN = 8.4, 19, 14  # pixels
BACKGROUND, FOREGROUND, QUIET, YELLOW = "#1b1f27", "#d8dee9", "#7f8898", "#ebcb8b"
TOKEN = re.compile(r"\x1b\[([0-9;]*)m|([^\x1b]+)")


def runs(line, style):
    """(column, text, style) of each piece of one style, which goes on from line to line."""
    column = 0
    for codes, text in TOKEN.findall(line):
        if text:
            yield column, text, dict(style)
            column += sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
            continue
        for code in (codes or "0").split(";"):
            style.update({"0": dict.fromkeys(style, False), "1": {"bold": True},
                          "2": {"quiet": True}, "22": {"bold": False, "quiet": False},
                          "33": {"yellow": True}, "39": {"yellow": False}}.get(code, {}))


def element(row, column, text, style):
    """Each piece is as wide as its columns, whatever the font's own width is."""
    colour = YELLOW if style.get("yellow") else QUIET if style.get("quiet") else FOREGROUND
    bold = ' font-weight="bold"' if style.get("bold") else ""
    return (f'<text x="{MARGIN + column * COLUMN:.1f}" y="{MARGIN + row * ROW + 14}" '
            f'textLength="{len(text) * COLUMN:.1f}" fill="{colour}"{bold}>'
            f'{html.escape(text)}</text>')


def draw(screen, columns, title):
    """The picture of the lines of a screen."""
    width, height = 2 * MARGIN + columns * COLUMN, 2 * MARGIN + len(screen) * ROW
    state = {}
    pieces = [element(row, column, text, style) for row, line in enumerate(screen)
             for column, text, style in runs(line, state) if text.strip()]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" role="img">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" '
        'xml:space="preserve">', *pieces, "</g>", "</svg>", ""])


def texts(picture):
    """What can be read in a picture, a line a row."""
    rows = {}
    for x, y, text in re.findall(r'<text x="([0-9.]+)" y="(\d+)"[^>]*>([^<]*)</text>', picture):
        column = round((float(x) - MARGIN) / COLUMN)
        line = rows.get(int(y), "")
        rows[int(y)] = line + " " * (column - len(line)) + html.unescape(text)
    return [rows[y].rstrip() for y in sorted(rows)]
