"""The comments of protos, by the names of what they are about."""

from __future__ import annotations

import pytest

from bridge.transcoding.comments import summary
from bridge.transcoding.schema import build, read
from tests.transcoding.conftest import Compile

PROTO = """
// Detached from all, as a blank line is after it.

package p.v1;
// A service.
service S {
  // A method.
  //
  //   with more
  //   lines.
  rpc Do(M) returns (M) {
    // Of an option.
    option deprecated = true;
  }
}
/* A message. */
message M {
  // A field.
  string name = 1 [deprecated = true];  // After it.
  int32 count = 2;  // A trailing comment.
  string bare = 3;
  // A choice.
  oneof choice {
    // An alternative.
    bool yes = 4;
  }
  // An inner message.
  message Inner {
    // An inner field.
    bool deep = 1;
  }
  // An inner enum.
  enum Kind {
    // A value.
    ZERO = 0;
  }
  // Reserved.
  reserved 9;
}
// (-- Only for us,
//     who make it. --)
enum Other {
  // To be told. (-- Not to be told. --)
  OTHER = 0;
}
"""


def test_a_name_has_the_comment_before_it_or_the_one_after_it(compile_protos: Compile) -> None:
    assert build(read([compile_protos(p=PROTO, comments=True)])).comments == {
        "p.v1.S": "A service.",
        "p.v1.S.Do": "A method.\n\n  with more\n  lines.",
        "p.v1.M": "A message.",
        "p.v1.M.name": "A field.",
        "p.v1.M.count": "A trailing comment.",
        "p.v1.M.choice": "A choice.",
        "p.v1.M.yes": "An alternative.",
        "p.v1.M.Inner": "An inner message.",
        "p.v1.M.Inner.deep": "An inner field.",
        "p.v1.M.Kind": "An inner enum.",
        "p.v1.M.Kind.ZERO": "A value.",
        "p.v1.Other.OTHER": "To be told.",
    }


def test_a_file_without_a_package_has_comments_too(compile_protos: Compile) -> None:
    path = compile_protos(bare="// A message.\nmessage M {}", comments=True)
    assert build(read([path])).comments == {"M": "A message."}


def test_a_set_without_source_info_has_no_comments(compile_protos: Compile) -> None:
    assert build(read([compile_protos(p=PROTO)])).comments == {}


@pytest.mark.parametrize(
    ("comment", "first"),
    [
        ("Gets a book.", "Gets a book"),
        ("Gets a book", "Gets a book"),
        ("Gets a book. Fails if there is none.", "Gets a book"),
        ("Gets a book,\nwherever it is.\nFails if there is none.", "Gets a book, wherever it is"),
        ("Gets a book\n\nThere may be none.", "Gets a book"),
        ("Gets e.g. v1.2 of a book.", "Gets e.g. v1.2 of a book"),
        ("Is it there? Says so.", "Is it there?"),
    ],
)
def test_a_summary_is_the_first_sentence(comment: str, first: str) -> None:
    assert summary(comment) == first
