"""Texts that break a client or a server which is less than careful."""

HOSTILE = [
    "\n\n",
    "data: ",
    "[DONE]",
    "data: [DONE]\n\n",
    "\ndata: x\n\n",
    "emoji 🌉👩‍👩‍👧‍👦é",
    "\u2028\u2029",
    "\x00",
    "\r",
    "\r\n\r\n",
    "\ufeff",
    ": comment\nevent: x\nid: 1\n",
    '\\u0000 \\n "',
    "\x85\x0b\x0c\x1b\x7f",
    " ",
]
