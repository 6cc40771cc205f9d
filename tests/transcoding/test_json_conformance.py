"""JSON as protobuf has it: what its conformance suite asks for, and what it leaves open.

The cases are those of ``conformance/binary_json_conformance_suite.cc`` in protobuf's sources. A
message is read from the body of a request, and written again.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding.content import to_messages
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.writer import JsonWriteError, JsonWriter
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.routes import of_methods
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile
from tests.transcoding.messages import proto

OTHERS = """
package o;
import "p.proto";
import "old.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Alias { option allow_alias = true; FIRST = 0; SECOND = 1; TWO = 1; two = 1; tWo = 1; }
message Names {
  int32 plain = 1;
  int32 two_words = 2;
  int32 _leading = 3;
  int32 trailing__doubled_ = 4;
  int32 with0digit = 5;
  int32 with_0_digit = 6;
  int32 camelCase = 7;
  int32 PascalCase = 8;
  int32 mixed_Case = 9;
  int32 Pascal_Snake = 10;
  int32 UPPER_SNAKE = 11;
  int32 UPPER_lower = 12;
  int32 __two_before = 13;
  int32 __Three_before = 14;
  int32 two__between = 15;
  int32 three__Between = 16;
  int32 two_after__ = 17;
  int32 Two_after__ = 18;
  int32 named = 19 [json_name = "@given"];
}
message Odd {
  Alias alias = 1;
  repeated google.protobuf.NullValue nothings = 2;
  map<string, google.protobuf.NullValue> map_nothing = 3;
  reserved "gone";
  oneof one {
    uint32 number = 4;
    string text = 5;
    bytes data = 6;
    bool truth = 7;
    uint64 large = 8;
    float small = 9;
    double wide = 10;
    Alias kind = 11;
    Names names = 12;
    google.protobuf.NullValue nothing = 13;
    google.protobuf.Value anything = 14;
  }
}
service S {
  rpc All(p.All) returns (p.All);
  rpc Names(o.Names) returns (o.Names);
  rpc Odd(o.Odd) returns (o.Odd);
  rpc Old(o.Old) returns (o.Old);
  rpc Struct(google.protobuf.Struct) returns (google.protobuf.Struct);
  rpc Value(google.protobuf.Value) returns (google.protobuf.Value);
  rpc ListValue(google.protobuf.ListValue) returns (google.protobuf.ListValue);
  rpc Timestamp(google.protobuf.Timestamp) returns (google.protobuf.Timestamp);
  rpc Int64Value(google.protobuf.Int64Value) returns (google.protobuf.Int64Value);
  rpc Any(google.protobuf.Any) returns (google.protobuf.Any);
}
"""
OLD = """syntax = "proto2";
package o;
enum Closed { RED = 0; BLUE = 2; }
message Old {
  required int32 id = 1;
  optional Closed color = 2;
  optional int32 count = 3 [default = 7];
  optional group Part = 4 { optional int32 size = 5; }
  optional Old inner = 6;
  extensions 100 to 199;
}
message Other { extensions 100 to 199; }
extend Old { optional int32 extra = 100; repeated Old more = 101; }
extend Other { optional int32 foreign = 100; }
"""


@pytest.fixture(scope="module")
def schema(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=proto(), o=OTHERS, old=OLD))


# Written as it was given.
SAME = ""


def _object(name: str, value: str) -> str:
    return f'{{"{name}":{value}}}'


def _of_each(name: str, values: dict[str, str]) -> list[tuple[str, str]]:
    return [(_object(name.format(kind), value), SAME) for kind, value in values.items()]


def _nested(before: str, inner: str, after: str, times: int) -> str:
    return before * times + inner + after * times


# For each RPC, what is given and what is written of it.
READ: dict[str, list[tuple[str, str]]] = {
    "All": [
        ("{}", SAME),
        ('{"oneString":"Hello, world!"}', SAME),
        # White space doesn't matter.
        (' \t\r\n{ "oneInt32" : 1 , "oneBool" : true } \n', '{"oneInt32":1,"oneBool":true}'),
        ('{\n"manyInt32"\n:\n[\n1\n,\n2\n]\n}', '{"manyInt32":[1,2]}'),
        # Integers: their ranges.
        *_of_each("one{}", dict.fromkeys(["Int32", "Sint32", "Sfixed32"], "2147483647")),
        *_of_each("one{}", dict.fromkeys(["Int32", "Sint32", "Sfixed32"], "-2147483648")),
        *_of_each("one{}", dict.fromkeys(["Uint32", "Fixed32"], "4294967295")),
        *_of_each("one{}", dict.fromkeys(["Int64", "Sint64", "Sfixed64"], '"9223372036854775807"')),
        *_of_each(
            "one{}", dict.fromkeys(["Int64", "Sint64", "Sfixed64"], '"-9223372036854775808"')
        ),
        *_of_each("one{}", dict.fromkeys(["Uint64", "Fixed64"], '"18446744073709551615"')),
        # Integers of 64 bits are strings, but can be numbers, with all of their digits.
        ('{"oneInt64":9223372036854775807}', '{"oneInt64":"9223372036854775807"}'),
        ('{"oneInt64":9223372036854774784}', '{"oneInt64":"9223372036854774784"}'),
        ('{"oneInt64":-9223372036854775808}', '{"oneInt64":"-9223372036854775808"}'),
        ('{"oneUint64":18446744073709551615}', '{"oneUint64":"18446744073709551615"}'),
        ('{"oneUint64":18446744073709549568}', '{"oneUint64":"18446744073709549568"}'),
        # Integers of 32 bits can be strings.
        ('{"oneInt32":"2147483647"}', '{"oneInt32":2147483647}'),
        ('{"oneInt32":"2\\u003147483647"}', '{"oneInt32":2147483647}'),
        ('{"oneInt32":"-0"}', "{}"),
        ('{"oneInt32":"007"}', '{"oneInt32":7}'),
        # What has no fraction is an integer, however it is written.
        ('{"oneInt32":1.0}', '{"oneInt32":1}'),
        ('{"oneInt32":100000.000}', '{"oneInt32":100000}'),
        ('{"oneInt32":1e5}', '{"oneInt32":100000}'),
        ('{"oneInt32":1E+5}', '{"oneInt32":100000}'),
        ('{"oneInt32":1500e-2}', '{"oneInt32":15}'),
        ('{"oneInt32":"1e5"}', '{"oneInt32":100000}'),
        ('{"oneInt32":"1.0"}', '{"oneInt32":1}'),
        ('{"oneInt32":2.147483647e9}', '{"oneInt32":2147483647}'),
        ('{"oneInt32":-2.147483648e9}', '{"oneInt32":-2147483648}'),
        ('{"oneUint32":4.294967295e9}', '{"oneUint32":4294967295}'),
        ('{"oneInt64":9007199254740993.0}', '{"oneInt64":"9007199254740993"}'),
        ('{"oneInt64":9.223372036854775807e18}', '{"oneInt64":"9223372036854775807"}'),
        ('{"oneUint64":"18446744073709551615.0"}', '{"oneUint64":"18446744073709551615"}'),
        # Floats.
        ('{"oneFloat":1.175494e-38}', SAME),
        ('{"oneFloat":-1.175494e-38}', SAME),
        ('{"oneFloat":3.402823e+38}', SAME),
        ('{"oneFloat":-3.402823e+38}', SAME),
        ('{"oneFloat":3.4028235e+38}', SAME),
        ('{"oneFloat":"1"}', '{"oneFloat":1.0}'),
        ('{"oneFloat":"1.175494e-38"}', '{"oneFloat":1.175494e-38}'),
        ('{"oneFloat":0.1}', SAME),
        ('{"oneFloat":0.10000000149011612}', '{"oneFloat":0.1}'),
        ('{"oneFloat":1e-50}', "{}"),
        ('{"oneFloat":-0.0}', SAME),
        ('{"oneFloat":"NaN"}', SAME),
        ('{"oneFloat":"Infinity"}', SAME),
        ('{"oneFloat":"-Infinity"}', SAME),
        ('{"oneDouble":2.22507e-308}', SAME),
        ('{"oneDouble":-2.22507e-308}', SAME),
        ('{"oneDouble":5e-324}', SAME),
        ('{"oneDouble":1.7976931348623157e+308}', SAME),
        ('{"oneDouble":-1.7976931348623157e+308}', SAME),
        ('{"oneDouble":"1"}', '{"oneDouble":1.0}'),
        ('{"oneDouble":"2.22507e-308"}', '{"oneDouble":2.22507e-308}'),
        ('{"oneDouble":1}', '{"oneDouble":1.0}'),
        ('{"oneDouble":1e-400}', "{}"),
        ('{"oneDouble":-0}', '{"oneDouble":-0.0}'),
        ('{"oneDouble":123456789012345678901234567890}', '{"oneDouble":1.2345678901234568e29}'),
        ('{"oneDouble":"NaN"}', SAME),
        ('{"oneDouble":"Infinity"}', SAME),
        ('{"oneDouble":"-Infinity"}', SAME),
        # Booleans.
        ('{"oneBool":true}', SAME),
        ('{"oneBool":false}', "{}"),
        # Strings.
        ('{"oneString":"\\"\\\\\\/\\b\\f\\n\\r\\t"}', '{"oneString":"\\"\\\\/\\b\\f\\n\\r\\t"}'),
        ('{"oneString":"\\u8C37\\u6B4C"}', '{"oneString":"谷歌"}'),
        ('{"oneString":"\\u8c37\\u6b4c"}', '{"oneString":"谷歌"}'),
        ('{"oneString":"谷歌"}', SAME),
        ('{"oneString":"\\uD83D\\uDE01"}', '{"oneString":"\U0001f601"}'),
        ('{"oneString":"\U0001f601"}', SAME),
        ('{"oneString":"a\\u0000b"}', SAME),
        ('{"oneString":"\\ufeff\\u2028\\uffff"}', SAME),
        ('{"\\u006fneString":"a"}', '{"oneString":"a"}'),
        # Bytes: in either alphabet, with padding or without.
        ('{"oneBytes":"AQI="}', SAME),
        ('{"oneBytes":"AQI"}', '{"oneBytes":"AQI="}'),
        ('{"oneBytes":"-_"}', '{"oneBytes":"+w=="}'),
        ('{"oneBytes":"_-8="}', '{"oneBytes":"/+8="}'),
        ('{"oneBytes":""}', "{}"),
        # Enums: names, numbers, and numbers that have no name.
        ('{"oneKind":"ONE"}', SAME),
        ('{"oneKind":"ZERO"}', "{}"),
        ('{"oneKind":1}', '{"oneKind":"ONE"}'),
        ('{"oneKind":"1"}', '{"oneKind":"ONE"}'),
        ('{"oneKind":-1}', '{"oneKind":"NEGATIVE"}'),
        ('{"oneKind":123}', SAME),
        ('{"oneKind":-2147483648}', SAME),
        # Messages.
        ('{"oneAll":{"oneInt32":1234}}', SAME),
        ('{"oneAll":{}}', SAME),
        ('{"oneEmpty":{}}', SAME),
        # Fields that have presence.
        *_of_each("maybe{}", dict.fromkeys(["Int32", "Uint32", "Sint32", "Fixed32"], "0")),
        *_of_each("maybe{}", dict.fromkeys(["Int64", "Uint64", "Sint64", "Fixed64"], '"0"')),
        *_of_each("maybe{}", dict.fromkeys(["Double", "Float"], "0.0")),
        *_of_each("maybe{}", {"Bool": "false", "String": '""', "Bytes": '""', "Kind": '"ZERO"'}),
        # Names can be those of the proto.
        ('{"one_int32":1,"one_bool":true}', '{"oneInt32":1,"oneBool":true}'),
        # Lists.
        ('{"manyInt32":[1,2,3,4]}', SAME),
        ('{"manyInt64":[1,"2"]}', '{"manyInt64":["1","2"]}'),
        ('{"manyKind":["ZERO","ONE",-1,5]}', '{"manyKind":["ZERO","ONE","NEGATIVE",5]}'),
        ('{"manyString":["Hello","world"]}', SAME),
        ('{"manyBytes":["AAEC","AQI"]}', '{"manyBytes":["AAEC","AQI="]}'),
        ('{"manyAll":[{"oneInt32":1234},{},{"oneBool":true}]}', SAME),
        ('{"manyFloat":[0.1,"NaN"],"manyDouble":["-Infinity",1.5],"manyBool":[true,false]}', SAME),
        ('{"manyInt32":[]}', "{}"),
        # Maps, with keys of each kind.
        *_of_each(
            "by{}",
            dict.fromkeys(
                [*("Int32", "Int64", "Uint32", "Uint64", "Sint32", "Sint64"), "Fixed32"],
                '{"1":"2","3":"4"}',
            ),
        ),
        *_of_each("by{}", dict.fromkeys(["Fixed64", "Sfixed32", "Sfixed64"], '{"1":"2"}')),
        ('{"byInt64":{"-9223372036854775808":1}}', '{"byInt64":{"-9223372036854775808":"1"}}'),
        ('{"byBool":{"true":1,"false":0}}', '{"byBool":{"false":"0","true":"1"}}'),
        ('{"byString":{"":1,"a\\nb":2}}', '{"byString":{"":"1","a\\nb":"2"}}'),
        ('{"byInt32":{"\\u0031":2}}', '{"byInt32":{"1":"2"}}'),
        ('{"byInt64":{"\\u0031":2}}', '{"byInt64":{"1":"2"}}'),
        ('{"byBool":{"tr\\u0075e":1}}', '{"byBool":{"true":"1"}}'),
        ('{"mapAll":{"hello":{"oneInt32":1234},"world":{}}}', SAME),
        (
            '{"mapKind":{"a":1},"mapBytes":{"a":"-_"}}',
            '{"mapKind":{"a":"ONE"},"mapBytes":{"a":"+w=="}}',
        ),
        ('{"mapDouble":{"a":"NaN"},"mapBool":{"a":false},"mapString":{"a":""}}', SAME),
        ('{"byString":{}}', "{}"),
        # Null is no value, but of Value and NullValue.
        *[(f'{{"one{kind}":null}}', "{}") for kind in ("Int32", "Uint64", "Float", "Bool")],
        *[(f'{{"one{kind}":null}}', "{}") for kind in ("String", "Bytes", "Kind", "All", "Any")],
        *[(f'{{"one{kind}":null}}', "{}") for kind in ("Timestamp", "Duration", "Fieldmask")],
        *[(f'{{"one{kind}":null}}', "{}") for kind in ("Struct", "Listvalue", "Empty")],
        *[(f'{{"one{kind}":null}}', "{}") for kind in ("Boolvalue", "Int64value", "Bytesvalue")],
        *[(f'{{"many{kind}":null}}', "{}") for kind in ("Int32", "String", "All", "Value")],
        *[(f'{{"{name}":null}}', "{}") for name in ("byInt32", "mapAll", "mapValue", "aText")],
        ('{"maybeInt32":null}', "{}"),
        ('{"nothing":null}', "{}"),
        ('{"nothing":"NULL_VALUE"}', "{}"),
        ('{"oneValue":null}', SAME),
        ('{"manyValue":[null,1,null]}', '{"manyValue":[null,1.0,null]}'),
        ('{"mapValue":{"a":null}}', SAME),
        # Wrappers.
        ('{"oneBoolvalue":false,"oneStringvalue":"","oneBytesvalue":""}', SAME),
        ('{"oneInt32value":0,"oneUint32value":0,"oneInt64value":"0","oneUint64value":"0"}', SAME),
        ('{"oneFloatvalue":0.0,"oneDoublevalue":0.0}', SAME),
        ('{"oneInt64value":1,"oneUint64value":"2"}', '{"oneInt64value":"1","oneUint64value":"2"}'),
        ('{"oneDoublevalue":"NaN","oneFloatvalue":0.1,"oneBytesvalue":"AQI="}', SAME),
        ('{"manyBoolvalue":[true,false],"manyInt32value":[0,1]}', SAME),
        ('{"manyStringvalue":["","AQI="],"manyBytesvalue":["","AQI="]}', SAME),
        ('{"mapStringvalue":{"a":"b"}}', SAME),
        # Durations.
        ('{"oneDuration":"-315576000000.999999999s"}', SAME),
        ('{"oneDuration":"315576000000.999999999s"}', SAME),
        ('{"manyDuration":["1.500s","-1.500s"]}', SAME),
        ('{"oneDuration":"-5s"}', SAME),
        ('{"oneDuration":"-0.5s"}', '{"oneDuration":"-0.500s"}'),
        ('{"oneDuration":"0s"}', SAME),
        ('{"oneDuration":"1.000000000s"}', '{"oneDuration":"1s"}'),
        ('{"oneDuration":"1.01s"}', '{"oneDuration":"1.010s"}'),
        ('{"oneDuration":"1.00001s"}', '{"oneDuration":"1.000010s"}'),
        ('{"oneDuration":"1.00000001s"}', '{"oneDuration":"1.000000010s"}'),
        ('{"oneDuration":"0.1234567s"}', '{"oneDuration":"0.123456700s"}'),
        # Timestamps.
        ('{"oneTimestamp":"0001-01-01T00:00:00Z"}', SAME),
        ('{"oneTimestamp":"9999-12-31T23:59:59.999999999Z"}', SAME),
        ('{"manyTimestamp":["0001-01-01T00:00:00Z","9999-12-31T23:59:59Z"]}', SAME),
        ('{"oneTimestamp":"1970-01-01T00:00:00.000Z"}', '{"oneTimestamp":"1970-01-01T00:00:00Z"}'),
        ('{"oneTimestamp":"1970-01-01T00:00:00.000000001Z"}', SAME),
        ('{"oneTimestamp":"1969-12-31T23:59:59.999999999Z"}', SAME),
        ('{"oneTimestamp":"1969-12-31T23:59:49.500Z"}', SAME),
        (
            '{"oneTimestamp":"1970-01-01T00:00:00.01Z"}',
            '{"oneTimestamp":"1970-01-01T00:00:00.010Z"}',
        ),
        (
            '{"oneTimestamp":"1970-01-01T00:00:00.00001Z"}',
            '{"oneTimestamp":"1970-01-01T00:00:00.000010Z"}',
        ),
        (
            '{"oneTimestamp":"1970-01-01T00:00:00.00000001Z"}',
            '{"oneTimestamp":"1970-01-01T00:00:00.000000010Z"}',
        ),
        ('{"oneTimestamp":"1970-01-01T08:00:01+08:00"}', '{"oneTimestamp":"1970-01-01T00:00:01Z"}'),
        ('{"oneTimestamp":"1969-12-31T16:00:00-08:00"}', '{"oneTimestamp":"1970-01-01T00:00:00Z"}'),
        ('{"oneTimestamp":"1970-01-02T01:00:00+02:00"}', '{"oneTimestamp":"1970-01-01T23:00:00Z"}'),
        ('{"oneTimestamp":"1970-01-01T00:00:00-11:30"}', '{"oneTimestamp":"1970-01-01T11:30:00Z"}'),
        (
            '{"oneTimestamp":"1970-01-01T00:00:00.5+00:00"}',
            '{"oneTimestamp":"1970-01-01T00:00:00.500Z"}',
        ),
        ('{"oneTimestamp":"0001-01-01T00:00:00-00:01"}', '{"oneTimestamp":"0001-01-01T00:01:00Z"}'),
        ('{"oneTimestamp":"9999-12-31T23:59:59+00:01"}', '{"oneTimestamp":"9999-12-31T23:58:59Z"}'),
        ('{"oneTimestamp":"2000-02-29T00:00:00Z"}', SAME),
        # Field masks.
        ('{"oneFieldmask":"foo,barBaz"}', SAME),
        ('{"oneFieldmask":"foo.barBaz,x"}', SAME),
        ('{"oneFieldmask":""}', SAME),
        # Struct, Value and ListValue.
        ('{"oneStruct":{"a":null,"b":1234.0,"c":true,"d":1234.5678,"e":"text"}}', SAME),
        ('{"oneStruct":{"a":[1234.0,"5678",[]],"b":{"value":0.0},"":{}}}', SAME),
        ('{"oneStruct":{}}', SAME),
        ('{"oneValue":1}', '{"oneValue":1.0}'),
        *_of_each("one{}", dict.fromkeys(["Value"], "1.5")),
        *[(f'{{"oneValue":{value}}}', SAME) for value in ("false", '"hello"', "[]", "{}", '"NaN"')],
        ('{"oneValue":[0.0,"hello",[null]]}', SAME),
        ('{"oneValue":{"value":1.0}}', SAME),
        ('{"manyValue":[["a"]]}', SAME),
        ('{"oneListvalue":[1.0,[2.0],{"a":null}]}', SAME),
        ('{"manyListvalue":[["a"],[]]}', SAME),
        ('{"manyStruct":[{"a":1.0},{}],"mapStruct":{"a":{"b":true}}}', SAME),
        (_object("oneStruct", _nested('{"n":', "1.0", "}", 25)), SAME),
        (_object("oneValue", _nested("[", "1.0", "]", 25)), SAME),
        (_object("oneValue", _nested('{"n":', "{}", "}", 25)), SAME),
        # Any.
        ('{"oneAny":{}}', SAME),
        ('{"oneAny":{"@type":"type.googleapis.com/p.All","oneInt32":12345}}', SAME),
        ('{"oneAny":{"@type":"type.googleapis.com/p.All"}}', SAME),
        (
            '{"oneAny":{"oneInt32":12345,"@type":"example.org/a/p.All"}}',
            '{"oneAny":{"@type":"example.org/a/p.All","oneInt32":12345}}',
        ),
        *[
            (f'{{"oneAny":{{"@type":"type.googleapis.com/google.protobuf.{name}",{value}}}}}', SAME)
            for name, value in [
                ("Int32Value", '"value":12345'),
                ("Int64Value", '"value":"12345"'),
                ("BoolValue", '"value":false'),
                ("Duration", '"value":"1.500s"'),
                ("Timestamp", '"value":"1970-01-01T00:00:00Z"'),
                ("FieldMask", '"value":"foo,barBaz"'),
                ("Struct", '"value":{"foo":1.0}'),
                ("ListValue", '"value":[1.0,null]'),
                ("Value", '"value":{"foo":1.0}'),
                ("Value", '"value":1.0'),
                ("Value", '"value":null'),
                ("Any", '"value":{}'),
                ("Any", '"value":{"@type":"type.googleapis.com/p.All","oneInt32":12345}'),
            ]
        ],
        ('{"oneAny":{"@type":"type.googleapis.com/google.protobuf.Empty"}}', SAME),
        ('{"oneAny":{"@type":"type.googleapis.com/o.Old","count":1}}', SAME),
        ('{"manyAny":[{},{"@type":"a/p.All"}]}', SAME),
        # Messages in each other.
        (_nested('{"oneAll":', "{}", "}", 99), SAME),
        (_nested('{"oneAll":', '{"oneInt32value":1}', "}", 98), SAME),
        (_nested('{"oneAll":', '{"byInt32":{"1":"1"}}', "}", 98), SAME),
        (_nested('{"manyAll":[', "{}", "]}", 99), SAME),
        (_nested('{"mapAll":{"a":', "{}", "}}", 49), SAME),
    ],
    "Names": [
        ('{"plain":1,"twoWords":2,"Leading":3,"trailingDoubled":4}', SAME),
        ('{"with0digit":5,"with0Digit":6}', SAME),
        ('{"camelCase":7,"PascalCase":8,"mixedCase":9}', SAME),
        ('{"PascalSnake":10,"UPPERSNAKE":11,"UPPERLower":12}', SAME),
        ('{"TwoBefore":13,"ThreeBefore":14,"twoBetween":15,"threeBetween":16}', SAME),
        ('{"twoAfter":17,"TwoAfter":18}', SAME),
        ('{"@given":19}', SAME),
        (
            '{"plain":1,"two_words":2,"_leading":3,"trailing__doubled_":4}',
            '{"plain":1,"twoWords":2,"Leading":3,"trailingDoubled":4}',
        ),
        ('{"with_0_digit":6,"mixed_Case":9}', '{"with0Digit":6,"mixedCase":9}'),
        ('{"Pascal_Snake":10,"UPPER_SNAKE":11}', '{"PascalSnake":10,"UPPERSNAKE":11}'),
        ('{"__two_before":13,"two_after__":17}', '{"TwoBefore":13,"twoAfter":17}'),
        ('{"named":19}', '{"@given":19}'),
        ('{"pl\\u0061in":1}', '{"plain":1}'),
        ('{"plain":0}', "{}"),
    ],
    "Odd": [
        # The first name is written.
        *[(f'{{"alias":"{name}"}}', '{"alias":"SECOND"}') for name in ("TWO", "two", "tWo")],
        # Null of a oneof is none of it, but for Value and NullValue.
        ('{"number":null,"text":"a"}', '{"text":"a"}'),
        ('{"text":"a","number":null}', '{"text":"a"}'),
        ('{"nothing":null}', SAME),
        ('{"nothing":"NULL_VALUE"}', '{"nothing":null}'),
        ('{"anything":null}', SAME),
        ('{"nothings":[null,"NULL_VALUE",0]}', '{"nothings":[null,null,null]}'),
        ('{"mapNothing":{"a":null}}', SAME),
        # What a oneof has can be empty.
        ('{"number":0}', SAME),
        ('{"text":""}', SAME),
        ('{"data":""}', SAME),
        ('{"truth":false}', SAME),
        ('{"large":"0"}', SAME),
        ('{"small":0.0}', SAME),
        ('{"wide":0.0}', SAME),
        ('{"kind":"FIRST"}', SAME),
        ('{"names":{}}', SAME),
    ],
    "Old": [
        ('{"id":0,"count":0}', SAME),
        ('{"id":1,"color":"BLUE"}', SAME),
        ('{"id":1,"color":2}', '{"id":1,"color":"BLUE"}'),
        ('{"id":1,"part":{"size":5}}', SAME),
        ('{"id":1,"[o.extra]":5,"[o.more]":[{"id":2}]}', SAME),
        ('{"id":1,"inner":{"id":2}}', SAME),
    ],
    "Struct": [("{}", SAME), ('{"a":[1.0,null]}', SAME), (_nested('{"a":', "{}", "}", 33), SAME)],
    "Value": [*[(text, SAME) for text in ("null", "1.5", "true", '"a"', "[]", "{}")]],
    "ListValue": [("[]", SAME), ('[1.0,"a",null,[]]', SAME)],
    "Timestamp": [('"2026-01-02T03:04:05Z"', SAME)],
    "Int64Value": [('"5"', SAME), ("5", '"5"')],
    "Any": [("{}", SAME), ('{"@type":"a/google.protobuf.Duration","value":"1s"}', SAME)],
}


INT32 = "an integer from -2147483648 to 2147483647"
UINT32 = "an integer from 0 to 4294967295"
INT64 = "an integer from -9223372036854775808 to 9223372036854775807"
UINT64 = "an integer from 0 to 18446744073709551615"
TIME = 'a time such as "2026-01-02T03:04:05Z"'
DURATION = 'a duration such as "1.5s"'
MASK = 'fields in lowerCamelCase such as "name,fullName"'


def _not(wanted: str, field: str, *values: str) -> list[tuple[str, str]]:
    """Return cases of a field that has to be something, and is none of the values."""
    name = field.partition("[")[0]
    before, after = ("[", "]") if "[" in field else ("", "")
    return [
        (
            f'{{"{name}":{before}{value}{after}}}',
            f"{field}: it has to be {wanted}, not {_shown(value)}",
        )
        for value in values
    ]


def _shown(value: str) -> str:
    return {"{": "an object", "[": "a list"}.get(value[0], value)


# For each RPC, what is given and why it is refused.
REFUSED: dict[str, list[tuple[str, str]]] = {
    "All": [
        # Messages.
        ("null", "The body is no message: it has to be an object, not null"),
        ("[]", "The body is no message: it has to be an object, not a list"),
        ('""', 'The body is no message: it has to be an object, not ""'),
        ("1", "The body is no message: it has to be an object, not 1"),
        ("true", "The body is no message: it has to be an object, not true"),
        *_not("an object", "oneAll", "[]", '""', "0", "false", '"a"', "[{}]"),
        *_not("an object", "oneEmpty", "[]", '""', "false"),
        ('{"oneEmpty":{"a":1}}', "oneEmpty.a: there is no such field"),
        # Integers.
        *_not(INT32, "oneInt32", "2147483648", "-2147483649", "0.5", "true", "false"),
        *_not(INT32, "oneInt32", '"12abc"', '"12 34"', '"12,34"', '"12谷歌34"', '"abc"', '""'),
        *_not(INT32, "oneInt32", '" 1"', '"1 "', '"1_000"', '"+1"', '"0x1"', '"1."', '".5"'),
        *_not(INT32, "oneInt32", '"\u0661"', "[1]", "{}", "1e400"),
        *_not(INT32, "oneInt32", '"NaN"', '"Infinity"', "1e-1", "2147483647.5", '"3x3"'),
        *_not(INT32, "oneSint32", "2147483648"),
        *_not(INT32, "oneSfixed32", "-2147483649"),
        *_not(UINT32, "oneUint32", "4294967296", "-1", "0.5", '"3x3"', '""'),
        *_not(UINT32, "oneFixed32", "4294967296", "-1"),
        *_not(INT64, "oneInt64", '"9223372036854775808"', '"-9223372036854775809"', '"0.5"', '""'),
        *_not(INT64, "oneInt64", "9223372036854775808", "9223372036854775807.5", '"3x3"', "true"),
        *_not(INT64, "oneSint64", "9223372036854775808"),
        *_not(INT64, "oneSfixed64", "9223372036854775808"),
        *_not(UINT64, "oneUint64", '"18446744073709551616"', '"1e536870000"', '"0.5"', '""', "-1"),
        *_not(UINT64, "oneUint64", '"1e99999999999999999999"', '"3x3"'),
        *_not(UINT64, "oneFixed64", "18446744073709551616"),
        (
            f'{{"oneInt64":{"9" * 5000}}}',
            f"oneInt64: it has to be {INT64}, not {'9' * 40}...",
        ),
        # Floats.
        *_not("a number of 32 bits", "oneFloat", "3.502823e+38", "-3.502823e+38", '"3.5e38"'),
        *_not("a number of 32 bits", "oneFloat", '""', '"12abc"', '"abc"', '"12 34"', '"12,34"'),
        *_not("a number of 32 bits", "oneFloat", "true", "false", '"nan"', '"inf"', '"12谷歌34"'),
        *_not("a number of 64 bits", "oneDouble", "1.89769e+308", "-1.89769e+308", "1e400"),
        *_not("a number of 64 bits", "oneDouble", '"1e400"', '""', '"12abc"', '"abc"', "true"),
        *_not(
            "a number of 64 bits", "oneDouble", "false", '"nan"', '"inf"', '"-inf"', '"infinity"'
        ),
        *_not("a number of 64 bits", "oneDouble", '"+Infinity"', '" 1"', '"1_0"', '"0x1p3"', "[]"),
        *_not("a number of 32 bits", "oneFloatvalue", "1e39", "true", "{}"),
        # Booleans.
        *_not("true or false", "oneBool", "0", "1", '"true"', '"false"', '""', "[]", "{}"),
        *_not("true or false", "oneBoolvalue", "0", '"true"'),
        # Strings.
        *_not("a string", "oneString", "12345", "true", "[]", "{}"),
        *[
            (f'{{"oneString":"{text}"}}', "oneString: it has half of a surrogate pair")
            for text in ("\\uD800", "\\uDC00", "\\uDE01\\uD83D", "a\\udfffb")
        ],
        ('{"oneStringvalue":"\\ud800"}', "oneStringvalue: it has half of a surrogate pair"),
        ('{"manyString":["a","\\ud800"]}', "manyString[1]: it has half of a surrogate pair"),
        ('{"byString":{"\\ud800":1}}', r'byString["\ud800"]: it has half of a surrogate pair'),
        ('{"oneStruct":{"\\ud800":1}}', r'oneStruct["\ud800"]: it has half of a surrogate pair'),
        ('{"oneValue":["\\ud800"]}', "oneValue[0]: it has half of a surrogate pair"),
        ('{"\\ud800":1}', r"\ud800: there is no such field"),
        # Bytes.
        *_not("a string in base64", "oneBytes", '"a"', '"AQ=I"', '"A Q I="', '"AQI=\\n"', '"!!!!"'),
        *_not("a string in base64", "oneBytes", '"谷歌谷歌"', "1", "true", "[1]", '"AQI==="'),
        *_not("a string in base64", "oneBytes", '"AQI=="', '"AQ="', '"AQID="', '"="', '"+/-_"'),
        # Enums.
        *_not("a value of p.Kind", "oneKind", '"SONG"', '"one"', '""', "1.5", "2147483648", "true"),
        *_not("a value of p.Kind", "oneKind", "false", '["ONE"]', "[2]", "{}", "-2147483649"),
        # Lists.
        *_not("a list", "manyInt32", "1", '"1"', "{}", "false"),
        *_not("a list", "manyAll", '{"oneInt32":1}', '""'),
        *_not(INT32, "manyInt32[0]", "false", '"name"', "{}", "null", "[]"),
        *_not("a string", "manyString[0]", "2", "false", "{}", "null"),
        *_not("an object", "manyAll[0]", "2", "false", '"2"', "null", "[]"),
        *_not("a value of p.Kind", "manyKind[0]", '"SONG"', "null"),
        *_not("true or false", "manyBoolvalue[0]", "null"),
        *_not(TIME, "manyTimestamp[0]", "null"),
        *_not("an object", "manyAny[0]", "null", "[]"),
        *_not("an object", "manyStruct[0]", "null"),
        *_not("a list", "manyListvalue[0]", "null"),
        ('{"manyInt32":[1,2,3,null]}', f"manyInt32[3]: it has to be {INT32}, not null"),
        (
            '{"manyAll":[{},{},{"oneAll":{"oneBool":1}}]}',
            "manyAll[2].oneAll.oneBool: it has to be true or false, not 1",
        ),
        # Maps.
        *_not("an object", "byInt32", "[]", '""', "1", "[1]"),
        *_not("an object", "mapAll", "[]", "false"),
        ('{"byInt32":{"a":1}}', f'byInt32["a"]: it has to be {INT32}, not "a"'),
        ('{"byInt32":{"":1}}', f'byInt32[""]: it has to be {INT32}, not ""'),
        ('{"byUint32":{"-1":1}}', f'byUint32["-1"]: it has to be {UINT32}, not "-1"'),
        ('{"byBool":{"True":1}}', 'byBool["True"]: it has to be "true" or "false", not "True"'),
        ('{"byBool":{"1":1}}', 'byBool["1"]: it has to be "true" or "false", not "1"'),
        ('{"byInt32":{"0":null}}', f'byInt32["0"]: it has to be {INT64}, not null'),
        ('{"mapAll":{"0":null}}', 'mapAll["0"]: it has to be an object, not null'),
        ('{"mapInt64value":{"a":null}}', f'mapInt64value["a"]: it has to be {INT64}, not null'),
        (
            '{"mapAll":{"a.b":{"oneBool":0}}}',
            'mapAll["a.b"].oneBool: it has to be true or false, not 0',
        ),
        ('{"byString":{"a":1,"a":2}}', 'byString["a"]: it is there twice'),
        ('{"byInt32":{"1":1,"01":2}}', 'byInt32["01"]: it is there twice'),
        # Durations.
        *_not(DURATION, "oneDuration", '"1"', '"-315576000001.000000000s"', '"315576000001s"'),
        *_not(
            DURATION, "oneDuration", '""', '"s"', '"1.s"', '".5s"', '"+1s"', '" 1s"', '"1S"', "1"
        ),
        *_not(
            DURATION, "oneDuration", '"1.0000000001s"', '"1m"', '"1,5s"', '"--1s"', '"1e3s"', "{}"
        ),
        # Timestamps.
        *_not(TIME, "oneTimestamp", '"0000-01-01T00:00:00Z"', '"10000-01-01T00:00:00Z"'),
        *_not(TIME, "oneTimestamp", '"0001-01-01T00:00:00"', '"0001-01-01 00:00:00Z"', "0", '""'),
        *_not(TIME, "oneTimestamp", '"0001-01-01T00:00:00z"', '"0001-01-01t00:00:00Z"', "{}"),
        *_not(TIME, "oneTimestamp", '"1970-01-01T08:00:01+0800"', '"1970-01-01T08:00:01+08"'),
        *_not(TIME, "oneTimestamp", '"1970-13-01T00:00:00Z"', '"1970-00-01T00:00:00Z"'),
        *_not(TIME, "oneTimestamp", '"1970-01-32T00:00:00Z"', '"1970-01-00T00:00:00Z"'),
        *_not(TIME, "oneTimestamp", '"1970-01-01T24:00:00Z"', '"1970-01-01T25:00:00Z"'),
        *_not(TIME, "oneTimestamp", '"1970-01-01T00:60:00Z"', '"1970-01-01T00:00:60Z"'),
        *_not(TIME, "oneTimestamp", '"1970-01-01T00:00:00+24:00"', '"1970-01-01T00:00:00+00:60"'),
        *_not(TIME, "oneTimestamp", '"0001-01-01T00:00:00+00:01"', '"9999-12-31T23:59:59-00:01"'),
        *_not(TIME, "oneTimestamp", '"1970-01-01T00:00:00.1234567890Z"', '"1970-01-01T00:00:00.Z"'),
        *_not(TIME, "oneTimestamp", '"1970-01-01T00:00:00.123aZ"', '"999-01-01T00:00:00Z"'),
        *_not(TIME, "oneTimestamp", '"00001-01-01T00:00:00Z"', '"1970-1-01T00:00:00Z"'),
        *_not(TIME, "oneTimestamp", '"1970-01-1T00:00:00Z"', '"2001-02-29T00:00:00Z"'),
        *_not(
            TIME, "oneTimestamp", '"1970-01-01T00:00:00Z "', '"1970-01-01"', '"1970-01-01T00:00Z"'
        ),
        # Field masks.
        *_not(MASK, "oneFieldmask", '"foo,bar_bar"', "1", "[]", '["foo"]'),
        # Struct, Value and ListValue.
        *_not("an object", "oneStruct", "[]", '""', "1"),
        *_not("a list", "oneListvalue", "{}", '""', "1"),
        ('{"oneValue":[1e400]}', "oneValue[0]: it has to be a number of 64 bits, not 1e400"),
        (
            '{"oneStruct":{"a":[{"b":1e400}]}}',
            'oneStruct["a"][0]["b"]: it has to be a number of 64 bits, not 1e400',
        ),
        ('{"oneStruct":{"a":1,"a":2}}', 'oneStruct["a"]: it is there twice'),
        ('{"oneValue":{"a":{"b":1,"b":1}}}', 'oneValue["a"]["b"]: it is there twice'),
        # Any.
        *_not("an object", "oneAny", "[]", '""', "1"),
        ('{"oneAny":{"value":1}}', "oneAny.@type: it is missing"),
        ('{"oneAny":{"@type":""}}', 'oneAny.@type: there is no type ""'),
        ('{"oneAny":{"@type":"","value":""}}', 'oneAny.@type: there is no type ""'),
        (
            '{"oneAny":{"@type":"not_a_url","value":""}}',
            'oneAny.@type: there is no type "not_a_url"',
        ),
        ('{"oneAny":{"@type":"p.All"}}', 'oneAny.@type: there is no type "p.All"'),
        ('{"oneAny":{"@type":"a/p.None"}}', 'oneAny.@type: there is no type "a/p.None"'),
        ('{"oneAny":{"@type":null}}', "oneAny.@type: it has to be a string, not null"),
        ('{"oneAny":{"@type":5}}', "oneAny.@type: it has to be a string, not 5"),
        ('{"oneAny":{"@type":"a/p.All","x":1}}', "oneAny.x: there is no such field"),
        (
            '{"oneAny":{"@type":"a/p.All","oneBool":1}}',
            "oneAny.oneBool: it has to be true or false, not 1",
        ),
        ('{"oneAny":{"@type":"a/google.protobuf.Duration"}}', "oneAny.value: it is missing"),
        (
            '{"oneAny":{"@type":"a/google.protobuf.Duration","value":"1s","x":1}}',
            "oneAny.x: there is no such field",
        ),
        (
            '{"oneAny":{"@type":"a/google.protobuf.Duration","value":1}}',
            f"oneAny.value: it has to be {DURATION}, not 1",
        ),
        (
            '{"oneAny":{"@type":"a/google.protobuf.Empty","value":{}}}',
            "oneAny.value: there is no such field",
        ),
        (
            '{"oneAny":{"@type":"a/google.protobuf.Any","value":{"x":1}}}',
            "oneAny.value.@type: it is missing",
        ),
        ('{"oneAny":{"@type":"a/p.All","@type":"a/p.All"}}', "oneAny.@type: it is there twice"),
        # Fields that there are not, or more than once.
        ('{"unknown":1}', "unknown: there is no such field"),
        ('{"oneint32":1}', "oneint32: there is no such field"),
        (
            '{"oneAll":{"manyAll":[{},{"unknown":null}]}}',
            "oneAll.manyAll[1].unknown: there is no such field",
        ),
        ('{"[p.ext]":1}', "[p.ext]: there is no such field"),
        (f'{{"{"a" * 100}":1}}', f"{'a' * 40}...: there is no such field"),
        ('{"oneInt32":1,"oneInt32":1}', "oneInt32: it is there twice"),
        ('{"oneAll":{"oneInt32":1,"oneInt32":1}}', "oneAll.oneInt32: it is there twice"),
        ('{"one_all":{},"oneAll":{}}', "oneAll: it is there twice"),
        ('{"oneAll":{"oneBool":true},"one_all":{}}', "one_all: it is there twice"),
        ('{"aText":"a","aTruth":false}', "aTruth: it can't be there together with a_text"),
        # Messages in each other.
        (
            _nested('{"oneAll":', "{}", "}", 100),
            f"{'.'.join(['oneAll'] * 100)}: it is nested too deep",
        ),
    ],
    "Odd": [
        ('{"number":1,"text":"test"}', "text: it can't be there together with number"),
        ('{"text":"test","number":1}', "number: it can't be there together with text"),
        ('{"nothing":null,"text":"a"}', "text: it can't be there together with nothing"),
        ('{"anything":null,"text":"a"}', "text: it can't be there together with anything"),
        ('{"alias":"TWo"}', 'alias: it has to be a value of o.Alias, not "TWo"'),
        *[
            (f'{{"gone":{value}}}', "gone: there is no such field")
            for value in ("true", "1", '"hello"', '{"a":1}')
        ],
    ],
    "Old": [
        ("{}", "id: it is required"),
        ('{"id":1,"inner":{}}', "inner.id: it is required"),
        ('{"id":1,"color":1}', "color: it has to be a value of o.Closed, not 1"),
        ('{"id":1,"Part":{}}', "Part: there is no such field"),
        ('{"id":1,"[o.none]":1}', "[o.none]: there is no such field"),
        ('{"id":1,"[o.foreign]":1}', "[o.foreign]: there is no such field"),
        ('{"id":1,"[o.extra]":"a"}', f'[o.extra]: it has to be {INT32}, not "a"'),
    ],
    "Struct": [
        ("[]", "The body is no message: it has to be an object, not a list"),
        (_nested('{"a":', "{}", "}", 34), "".join(['["a"]'] * 33) + ": it is nested too deep"),
    ],
    "Value": [("1e400", "The body is no message: it has to be a number of 64 bits, not 1e400")],
    "ListValue": [("{}", "The body is no message: it has to be a list, not an object")],
    "Timestamp": [("{}", f"The body is no message: it has to be {TIME}, not an object")],
    "Int64Value": [("{}", f"The body is no message: it has to be {INT64}, not an object")],
    "Any": [('{"a":1}', "@type: it is missing")],
}
# What is no JSON, and where.
BROKEN: list[tuple[bytes, str]] = [
    (b" ", "Expecting value at line 1, column 2"),
    (b"{", "Expecting property name enclosed in double quotes at line 1, column 2"),
    (b'{"oneString":"abc\\', "Unterminated string starting at line 1, column 14"),
    (b"{oneInt32: 1}", "Expecting property name enclosed in double quotes at line 1, column 2"),
    (b'{"oneInt32":1 "oneBool":true}', "Expecting ',' delimiter at line 1, column 15"),
    (b'{"oneInt32":1\n"oneBool":true}', "Expecting ',' delimiter at line 2, column 1"),
    (b"{} {}", "Extra data at line 1, column 4"),
    (b'{"oneInt32":+1}', "Expecting value at line 1, column 13"),
    (b'{"oneInt32":01}', "Expecting ',' delimiter at line 1, column 14"),
    (b'{"oneInt32":-01}', "Expecting ',' delimiter at line 1, column 15"),
    (b'{"oneInt32":.5}', "Expecting value at line 1, column 13"),
    (b'{"oneInt32":5.}', "Expecting ',' delimiter at line 1, column 14"),
    (b'{"oneInt32":0x5}', "Expecting ',' delimiter at line 1, column 14"),
    (b'{"oneBool":True}', "Expecting value at line 1, column 12"),
    (b'{"oneBool":FALSE}', "Expecting value at line 1, column 12"),
    (b'{"oneKind":ONE}', "Expecting value at line 1, column 12"),
    (b'{"oneFloat":NaN}', "NaN is no number"),
    (b'{"oneFloat":Infinity}', "Infinity is no number"),
    (b'{"oneDouble":-Infinity}', "-Infinity is no number"),
    (b'{"unknown":[NaN]}', "NaN is no number"),
    (b'{"oneString":"\\U8C37"}', "Invalid \\escape at line 1, column 15"),
    (b'{"oneString":"\\uXXXX"}', "Invalid \\uXXXX escape at line 1, column 16"),
    (b'{"oneString":"\\u8C3"}', "Invalid \\uXXXX escape at line 1, column 16"),
    (b'{"oneString":"a\nb"}', "Invalid control character at line 1, column 16"),
    (b'{"oneString":"a\x00b"}', "Invalid control character at line 1, column 16"),
    (b"{'oneString':'a'}", "Expecting property name enclosed in double quotes at line 1, column 2"),
    (b"{\"oneString\":'a'}", "Expecting value at line 1, column 14"),
    (
        b'{"byInt32":{1:2}}',
        "Expecting property name enclosed in double quotes at line 1, column 13",
    ),
    (
        b'{"byBool":{true:2}}',
        "Expecting property name enclosed in double quotes at line 1, column 12",
    ),
    (
        b'{"byInt32":{null:1}}',
        "Expecting property name enclosed in double quotes at line 1, column 13",
    ),
    (b'{"oneInt32":1} // one', "Extra data at line 1, column 16"),
    (b"\xef\xbb\xbf{}", "Expecting value at line 1, column 1"),
    (b"\xff\xfe{\x00}\x00", "it isn't UTF-8"),
    (b'{"oneString":"\xff"}', "it isn't UTF-8"),
    (b'{"oneString":"\xc0\x80"}', "it isn't UTF-8"),
    (b'{"oneString":"\xed\xa0\x80"}', "it isn't UTF-8"),
    (b"{}\x00", "Extra data at line 1, column 3"),
    (b"\xc2\xa0{}", "Expecting value at line 1, column 1"),
]
# Python says of these one thing or the other.
TRAILING_COMMAS = [
    *(b'{"oneInt32":1,}', b'{"oneInt32":1 ,}', b'{"oneInt32":1 , }', b'{"oneInt32":1,\n}', b"{,}"),
    *(b'{"manyInt32":[1,]}', b'{"manyInt32":[1 ,]}', b'{"manyInt32":[1,\n]}', b'{"manyInt32":[,]}'),
]
# What is given with fields that there are not, and what is written if these are left out.
UNKNOWN: list[tuple[str, str]] = [
    *[
        (f'{{"unknown":{value},"oneInt32":1}}', '{"oneInt32":1}')
        for value in ("1", '"a"', "true", "false", "null", '{"a":1}', "[[]]", "1e400", '"\\ud800"')
    ],
    ('{"oneAll":{"unknown":1,"oneInt32":1}}', '{"oneAll":{"oneInt32":1}}'),
    ('{"[p.ext]":1}', "{}"),
    ('{"oneKind":"SONG"}', "{}"),
    ('{"manyKind":["ONE","SONG","ONE"]}', '{"manyKind":["ONE","ONE"]}'),
    ('{"mapKind":{"a":"ONE","b":"SONG"}}', '{"mapKind":{"a":"ONE"}}'),
    (
        '{"oneAny":{"@type":"a/p.All","x":1,"oneBool":true}}',
        '{"oneAny":{"@type":"a/p.All","oneBool":true}}',
    ),
    (
        '{"oneAny":{"@type":"a/google.protobuf.Duration","value":"1s","x":1}}',
        '{"oneAny":{"@type":"a/google.protobuf.Duration","value":"1s"}}',
    ),
]
# Messages that JSON can't have.
UNWRITABLE = [
    "one_duration { seconds: -315576000001 }",
    "one_duration { seconds: 315576000001 }",
    "one_duration { seconds: 1 nanos: -1 }",
    "one_duration { seconds: -1 nanos: 1 }",
    "one_duration { seconds: -1 nanos: -1000000000 }",
    "one_duration { seconds: 1 nanos: 1000000000 }",
    "one_timestamp { seconds: -62135596801 }",
    "one_timestamp { seconds: 253402300800 }",
    "one_timestamp { seconds: 5000 nanos: -1 }",
    "one_timestamp { seconds: 5000 nanos: 1000000000 }",
    'one_fieldmask { paths: "fooBar" }',
    'one_fieldmask { paths: "foo_3_bar" }',
    'one_fieldmask { paths: "foo__bar" }',
    "one_value { number_value: nan }",
    "one_value { number_value: inf }",
    "one_struct { fields { key: 'a' value { number_value: -inf } } }",
    "one_any { type_url: 'a/p.None' }",
    "one_any { type_url: 'a/p.All' value: '\\xff' }",
    "one_any { type_url: 'a/google.protobuf.Value' value: '\\x11\\0\\0\\0\\0\\0\\0\\xf0\\x7f' }",
]


TOO_DEEP = [
    ("All", _nested('{"oneAll":', "1", "}", 10_000)),
    ("All", _nested("[", "", "]", 100_000)),
    ("All", _nested('{"a":', "1", "}", 100_000)),
    ("All", _object("oneValue", _nested("[", "1", "]", 200))),
    ("All", _object("oneStruct", _nested('{"n":', "1", "}", 200))),
    ("All", _nested('{"oneAll":', '{"oneInt32value":1}', "}", 99)),
    ("All", _nested('{"oneAll":', '{"byInt32":{"1":1}}', "}", 99)),
    ("All", _nested('{"manyAll":[', "{}", "]}", 100)),
    ("All", _nested('{"mapAll":{"a":', "{}", "}}", 50)),
    ("Any", _nested('{"@type":"a/google.protobuf.Any","value":', "{}", "}", 150)),
]
# What the protobuf library takes, and the bridge doesn't, of each RPC.
TAKEN_BY_THE_LIBRARY: dict[str, dict[str, list[str]]] = {
    "A list and a string can be empty messages.": {
        "All": [
            *("[]", '""', '{"oneAll":[]}', '{"oneAll":""}', '{"oneEmpty":[]}', '{"oneEmpty":""}'),
            '{"manyAll":[[]]}',
        ]
    },
    "Numbers in strings are those of Python.": {
        "All": [
            *('{"oneInt32":"1_000"}', '{"oneInt32":"+1"}', '{"oneInt32":"1."}'),
            *('{"oneInt32":"\u0661"}', '{"oneFloat":"inf"}', '{"oneDouble":"inf"}'),
            *('{"oneDouble":"-inf"}', '{"oneDouble":"infinity"}', '{"oneDouble":"+Infinity"}'),
            *('{"oneDouble":" 1"}', '{"oneDouble":"1_0"}'),
        ]
    },
    "Numbers that are too large become infinite.": {
        "All": [
            *('{"oneFloat":"3.5e38"}', '{"oneDouble":"1e400"}', '{"oneValue":[1e400]}'),
            '{"oneStruct":{"a":[{"b":1e400}]}}',
        ],
        "Value": ["1e400"],
    },
    "Booleans are numbers, and floats are those of enums.": {
        "All": [
            *('{"oneFloat":true}', '{"oneFloat":false}', '{"oneDouble":true}'),
            *('{"oneDouble":false}', '{"oneFloatvalue":true}', '{"oneKind":true}'),
            *('{"oneKind":false}', '{"oneKind":1.5}'),
        ]
    },
    "What is not of base64 is skipped.": {
        "All": [
            *('{"oneBytes":"AQ=I"}', '{"oneBytes":"A Q I="}', '{"oneBytes":"AQI=\\n"}'),
            *('{"oneBytes":"!!!!"}', '{"oneBytes":"谷歌谷歌"}', '{"oneBytes":"AQI==="}'),
            *('{"oneBytes":"AQI=="}', '{"oneBytes":"AQ="}', '{"oneBytes":"AQID="}'),
            *('{"oneBytes":"="}', '{"oneBytes":"+/-_"}'),
        ]
    },
    "Durations and timestamps need not have their form.": {
        "All": [
            *('{"oneDuration":"1.s"}', '{"oneDuration":"+1s"}', '{"oneDuration":" 1s"}'),
            '{"oneDuration":"1.0000000001s"}',
            '{"oneTimestamp":"1970-01-01T00:00:00+24:00"}',
            '{"oneTimestamp":"1970-01-01T00:00:00+00:60"}',
            '{"oneTimestamp":"1970-01-01T00:00:00.Z"}',
            '{"oneTimestamp":"1970-1-01T00:00:00Z"}',
            '{"oneTimestamp":"1970-01-1T00:00:00Z"}',
        ]
    },
    "A field can be there by both of its names, and a key in two forms.": {
        "All": [
            *('{"one_all":{},"oneAll":{}}', '{"oneAll":{"oneBool":true},"one_all":{}}'),
            '{"byInt32":{"1":1,"01":2}}',
        ]
    },
    "Null doesn't count in a oneof, though it sets its field.": {
        "Odd": ['{"nothing":null,"text":"a"}', '{"anything":null,"text":"a"}']
    },
    "An Any need not have a URL, and can have more than the value of its type.": {
        "All": [
            '{"oneAny":{"@type":"p.All"}}',
            '{"oneAny":{"@type":"a/google.protobuf.Duration","value":"1s","x":1}}',
        ]
    },
    "Fields that are required can be missing.": {"Old": ["{}", '{"id":1,"inner":{}}']},
    "Messages can be deeper in each other than those that it takes of the wire.": {
        "Struct": [_nested('{"a":', "{}", "}", 34)]
    },
}
# What the bridge takes, and the library doesn't, or not as it is.
NOT_TAKEN_BY_THE_LIBRARY: dict[str, dict[str, list[str]]] = {
    "Integers that have a point or an exponent lose digits.": {
        "All": [
            *('{"oneInt64":9007199254740993.0}', '{"oneInt64":9.223372036854775807e18}'),
            '{"oneUint64":"18446744073709551615.0"}',
        ]
    },
    "The largest float is too large as it is written.": {"All": ['{"oneFloat":3.4028235e+38}']},
    "Zero has no sign if it is written as an integer.": {"All": ['{"oneDouble":-0}']},
    "Null isn't taken for a list of Values, nor in lists and maps of NullValues.": {
        "All": ['{"manyValue":null}'],
        "Odd": ['{"nothings":[null,"NULL_VALUE",0]}', '{"mapNothing":{"a":null}}'],
    },
    "An Any has to have the fields that are required.": {
        "All": ['{"oneAny":{"@type":"type.googleapis.com/o.Old","count":1}}']
    },
}


def _cases(table: dict[str, list[tuple[str, str]]]) -> list[Any]:
    return [
        pytest.param(name, *case, id=f"{name} {case[0]}"[:70])
        for name, cases in table.items()
        for case in cases
    ]


def _asked(schema: Schema, name: str, body: bytes, **options: Any) -> Message:
    found = of_methods(schema.services["o.S"]).match("POST", f"/o.S/{name}")
    assert found is not None
    reader = JsonReader(schema.pool, **options)
    (message,) = to_messages(found.route, reader, found.values, "", body, "application/json")
    return message


def _written(schema: Schema, message: Message) -> str:
    """Return a message as JSON, after it was sent."""
    sent = type(message).FromString(message.SerializeToString())
    return _canonical(JsonWriter(schema.pool).write(sent))


def _canonical(text: str | bytes) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


@pytest.mark.parametrize(("name", "given", "written"), _cases(READ))
def test_a_message_is_read_and_written(schema: Schema, name: str, given: str, written: str) -> None:
    message = _asked(schema, name, given.encode())
    assert _written(schema, message) == _canonical(written or given)


@pytest.mark.parametrize(("name", "given", "problem"), _cases(REFUSED))
def test_what_is_no_message_is_refused_with_its_field(
    schema: Schema, name: str, given: str, problem: str
) -> None:
    with pytest.raises(RequestError) as caught:
        _asked(schema, name, given.encode())
    assert str(caught.value) == problem


@pytest.mark.parametrize(("body", "problem"), BROKEN)
def test_what_is_no_json_is_refused(schema: Schema, body: bytes, problem: str) -> None:
    with pytest.raises(RequestError) as caught:
        _asked(schema, "All", body)
    assert str(caught.value) == f"The body is no JSON: {problem}"


@pytest.mark.parametrize("body", TRAILING_COMMAS)
def test_a_trailing_comma_is_refused(schema: Schema, body: bytes) -> None:
    with pytest.raises(RequestError, match=r"^The body is no JSON: .* at line \d, column \d+$"):
        _asked(schema, "All", body)


@pytest.mark.parametrize(("name", "given"), TOO_DEEP)
def test_what_is_nested_too_deep_is_refused(schema: Schema, name: str, given: str) -> None:
    with pytest.raises(RequestError, match=r"it is nested too deep$"):
        _asked(schema, name, given.encode())


@pytest.mark.parametrize(("given", "written"), UNKNOWN)
def test_what_is_unknown_can_be_left_out(schema: Schema, given: str, written: str) -> None:
    message = _asked(schema, "All", given.encode(), ignore_unknown=True)
    assert _written(schema, message) == _canonical(written)
    with pytest.raises(RequestError):
        _asked(schema, "All", given.encode())


@pytest.mark.parametrize("text", UNWRITABLE)
def test_a_message_that_json_cannot_have_is_refused(schema: Schema, text: str) -> None:
    message = text_format.Parse(text, _message(schema, "All"))
    with pytest.raises(JsonWriteError, match=r"^A p\.All can't be written: "):
        JsonWriter(schema.pool).write(message)


def test_an_any_in_too_many_others_is_refused(schema: Schema) -> None:
    message = _message(schema, "Any")
    for _ in range(2000):
        outer = type(message)()
        outer.Pack(message)
        message = outer
    with pytest.raises(JsonWriteError):
        JsonWriter(schema.pool).write(message)


@pytest.mark.parametrize(
    ("wire", "written"),
    [
        ("09bc9a78563412fa7f", '{"oneDouble":"NaN"}'),
        ("0921436587a9cbfbff", '{"oneDouble":"NaN"}'),
        ("154523a17f", '{"oneFloat":"NaN"}'),
        ("152143b5ff", '{"oneFloat":"NaN"}'),
    ],
)
def test_all_that_is_not_a_number_is_written_alike(schema: Schema, wire: str, written: str) -> None:
    message = _message(schema, "All")
    message.MergeFromString(bytes.fromhex(wire))
    assert _written(schema, message) == _canonical(written)


def _message(schema: Schema, name: str) -> Any:
    (method,) = [method for method in schema.services["o.S"] if method.name == name]
    return GetMessageClass(method.request)()


def _read_by_the_library(schema: Schema, name: str, given: str) -> Message | None:
    message: Message = _message(schema, name)
    try:
        json_format.Parse(given, message, descriptor_pool=schema.pool)
    except json_format.ParseError:
        return None
    return message


def _is_known(differences: dict[str, dict[str, list[str]]], name: str, given: str) -> bool:
    return any(given in cases.get(name, []) for cases in differences.values())


@pytest.mark.parametrize(("name", "given", "problem"), _cases(REFUSED))
def test_the_library_refuses_the_same_but_for_what_it_is_known_to_take(
    schema: Schema, name: str, given: str, problem: str
) -> None:
    taken = _read_by_the_library(schema, name, given) is not None
    assert taken == _is_known(TAKEN_BY_THE_LIBRARY, name, given)


@pytest.mark.parametrize(("name", "given", "written"), _cases(READ))
def test_the_library_reads_the_same_but_for_what_it_is_known_not_to(
    schema: Schema, name: str, given: str, written: str
) -> None:
    message = _read_by_the_library(schema, name, given)
    same = message is not None and (_written(schema, message) == _canonical(written or given))
    assert same != _is_known(NOT_TAKEN_BY_THE_LIBRARY, name, given)


@pytest.mark.parametrize(
    ("differences", "table"), [(TAKEN_BY_THE_LIBRARY, REFUSED), (NOT_TAKEN_BY_THE_LIBRARY, READ)]
)
def test_all_known_differences_are_among_the_cases(
    differences: dict[str, dict[str, list[str]]], table: dict[str, list[tuple[str, str]]]
) -> None:
    for cases in differences.values():
        for name, texts in cases.items():
            assert set(texts) <= {given for given, _ in table[name]}
