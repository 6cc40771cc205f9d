"""JSON as protobuf has it: https://protobuf.dev/programming-guides/json/."""
