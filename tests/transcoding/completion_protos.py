"""Protos of the shapes that services of other makes have, as far as completions go.

What docs/completions.md maps has their names; their numbers, and all that is not mapped, they have
not.
"""

XAI = """
package xai_api;
service Chat { rpc GetCompletionChunk(GetCompletionsRequest) returns (stream Chunk); }
message GetCompletionsRequest {
  string model = 1;
  repeated Message messages = 2;
  optional float temperature = 3;
  optional float top_p = 4;
  optional int32 max_tokens = 5;
  repeated string stop = 6;
  optional int32 seed = 7;
  optional float frequency_penalty = 8;
  optional float presence_penalty = 9;
  repeated Tool tools = 10;
  ToolChoice tool_choice = 11;
  optional bool parallel_tool_calls = 12;
  ResponseFormat response_format = 13;
}
message Message {
  MessageRole role = 1;
  repeated Content content = 2;
  repeated ToolCall tool_calls = 3;
  optional string tool_call_id = 4;
}
message Content { oneof content { string text = 1; bytes image = 2; } }
enum MessageRole {
  INVALID_ROLE = 0; ROLE_USER = 1; ROLE_ASSISTANT = 2; ROLE_SYSTEM = 3; ROLE_TOOL = 4;
}
message Tool { oneof tool { Function function = 1; } }
message Function { string name = 1; string description = 2; string parameters = 3; }
message ToolChoice { oneof tool_choice { ToolMode mode = 1; string function_name = 2; } }
enum ToolMode {
  TOOL_MODE_INVALID = 0; TOOL_MODE_AUTO = 1; TOOL_MODE_NONE = 2; TOOL_MODE_REQUIRED = 3;
}
message ResponseFormat { FormatType format_type = 1; optional string schema = 2; }
enum FormatType { FORMAT_TYPE_INVALID = 0; FORMAT_TYPE_TEXT = 1; FORMAT_TYPE_JSON_SCHEMA = 2; }
message ToolCall { string id = 1; oneof tool { FunctionCall function = 2; } }
message FunctionCall { string name = 1; string arguments = 2; }
message Chunk { repeated Output outputs = 1; string model = 2; Usage usage = 3; }
message Output { Delta delta = 1; FinishReason finish_reason = 2; }
message Delta { string content = 1; repeated ToolCall tool_calls = 2; }
enum FinishReason {
  REASON_INVALID = 0; REASON_STOP = 1; REASON_MAX_LEN = 2; REASON_MAX_CONTEXT = 3;
  REASON_TOOL_CALLS = 4; REASON_TIME_LIMIT = 5;
}
message Usage { int32 prompt_tokens = 1; int32 completion_tokens = 2; int32 total_tokens = 3; }
"""

GEMINI = """
package google.ai.generativelanguage.v1beta;
import "google/protobuf/struct.proto";
service GenerativeService {
  rpc StreamGenerateContent(GenerateContentRequest) returns (stream GenerateContentResponse);
}
message GenerateContentRequest {
  string model = 1;
  optional Content system_instruction = 2;
  repeated Content contents = 3;
  repeated Tool tools = 4;
  optional GenerationConfig generation_config = 5;
}
message Content { string role = 1; repeated Part parts = 2; }
message Part {
  oneof data {
    string text = 1;
    FunctionCall function_call = 2;
    FunctionResponse function_response = 3;
  }
}
message FunctionCall { string id = 1; string name = 2; optional google.protobuf.Struct args = 3; }
message FunctionResponse { string id = 1; string name = 2; google.protobuf.Struct response = 3; }
message Tool { repeated FunctionDeclaration function_declarations = 1; }
message FunctionDeclaration {
  string name = 1;
  string description = 2;
  optional google.protobuf.Value parameters_json_schema = 3;
}
message GenerationConfig {
  optional float temperature = 1;
  optional float top_p = 2;
  optional int32 max_output_tokens = 3;
  repeated string stop_sequences = 4;
  optional int32 seed = 5;
  optional float frequency_penalty = 6;
  optional float presence_penalty = 7;
  string response_mime_type = 8;
  google.protobuf.Value response_json_schema = 9;
}
message GenerateContentResponse {
  repeated Candidate candidates = 1;
  PromptFeedback prompt_feedback = 2;
  UsageMetadata usage_metadata = 3;
}
message PromptFeedback {
  enum BlockReason {
    UNSPECIFIED = 0; SAFETY = 1; OTHER = 2; BLOCKLIST = 3; PROHIBITED_CONTENT = 4;
  }
  BlockReason block_reason = 1;
}
message UsageMetadata {
  int32 prompt_token_count = 1; int32 candidates_token_count = 2; int32 total_token_count = 3;
}
message Candidate {
  enum FinishReason {
    UNSPECIFIED = 0; STOP = 1; MAX_TOKENS = 2; SAFETY = 3; RECITATION = 4; BLOCKLIST = 5;
    PROHIBITED_CONTENT = 6; SPII = 7; LANGUAGE = 8; OTHER = 9; MALFORMED_FUNCTION_CALL = 10;
  }
  Content content = 1;
  FinishReason finish_reason = 2;
}
"""

TRITON = """
package inference;
service GRPCInferenceService {
  rpc ModelStreamInfer(stream ModelInferRequest) returns (stream ModelStreamInferResponse);
}
message ModelInferRequest {
  message InputTensor {
    string name = 1; string datatype = 2; repeated int64 shape = 3; TensorContents contents = 4;
  }
  message RequestedTensor { string name = 1; }
  string model_name = 1;
  repeated InputTensor inputs = 2;
  repeated RequestedTensor outputs = 3;
}
message TensorContents { repeated bool bool_contents = 1; repeated bytes bytes_contents = 2; }
message ModelInferResponse { string model_name = 1; repeated bytes raw_output_contents = 2; }
message ModelStreamInferResponse {
  string error_message = 1; ModelInferResponse infer_response = 2;
}
"""

TGIS = """
package fmaas;
service GenerationService {
  rpc GenerateStream(SingleGenerationRequest) returns (stream GenerationResponse);
}
message SingleGenerationRequest {
  string model_id = 1; GenerationRequest request = 2; Parameters params = 3;
}
message GenerationRequest { string text = 1; }
message Parameters { DecodingMethod method = 1; Sampling sampling = 2; Stopping stopping = 3; }
enum DecodingMethod { GREEDY = 0; SAMPLE = 1; }
message Sampling { float temperature = 1; float top_p = 2; optional uint64 seed = 3; }
message Stopping { uint32 max_new_tokens = 1; repeated string stop_sequences = 2; }
message GenerationResponse {
  uint32 input_token_count = 1;
  uint32 generated_token_count = 2;
  string text = 3;
  StopReason stop_reason = 4;
}
enum StopReason {
  NOT_FINISHED = 0; MAX_TOKENS = 1; EOS_TOKEN = 2; CANCELLED = 3; TIME_LIMIT = 4; STOP_SEQUENCE = 5;
  TOKEN_LIMIT = 6; ERROR = 7;
}
"""

LOCALAI = """
package backend;
service Backend { rpc PredictStream(PredictOptions) returns (stream Reply); }
message PredictOptions {
  bool UseTokenizerTemplate = 1;
  repeated Message Messages = 2;
  string Tools = 3;
  string ToolChoice = 4;
  int32 Tokens = 5;
  float Temperature = 6;
  float TopP = 7;
  float TypicalP = 8;
  int32 Seed = 9;
  repeated string StopPrompts = 10;
  float FrequencyPenalty = 11;
  float PresencePenalty = 12;
}
message Message {
  string role = 1;
  string content = 2;
  string name = 3;
  string tool_call_id = 4;
  string tool_calls = 5;
}
message Reply { int32 tokens = 1; int32 prompt_tokens = 2; repeated ChatDelta chat_deltas = 3; }
message ChatDelta { string content = 1; repeated ToolCallDelta tool_calls = 2; }
message ToolCallDelta { int32 index = 1; string id = 2; string name = 3; string arguments = 4; }
"""
