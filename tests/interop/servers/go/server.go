// The interop test service on grpc-go.
package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/golang/protobuf/proto"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	initialKey           = "x-grpc-test-echo-initial"
	trailingKey          = "x-grpc-test-echo-trailing-bin"
	callKey              = "x-interop-call"
	detailsKey           = "x-interop-status-details-bin"
	maxConcurrentStreams = 100
)

type fields map[string]interface{}

func tell(event string, more fields) {
	more["event"] = event
	line, _ := json.Marshal(more)
	os.Stderr.Write(append(line, '\n'))
}

// asked is what the metadata of a call asks for.
type asked struct{ metadata.MD }

func (a asked) first(key string) (string, bool) {
	if values := a.Get(key); len(values) > 0 {
		return values[0], true
	}
	return "", false
}

func begin(ctx context.Context) asked {
	md, _ := metadata.FromIncomingContext(ctx)
	a := asked{md}
	if call, ok := a.first(callKey); ok {
		event := fields{"call": call, "initial": nil, "seconds_left": nil}
		if initial, ok := a.first(initialKey); ok {
			event["initial"] = initial
		}
		if deadline, ok := ctx.Deadline(); ok {
			event["seconds_left"] = time.Until(deadline).Seconds()
		}
		tell("began", event)
	}
	if initial, ok := a.first(initialKey); ok {
		grpc.SendHeader(ctx, metadata.Pairs(initialKey, initial))
	}
	return a
}

// end returns the status that the client asked for.
func (a asked) end(want *EchoStatus) error {
	if want.GetCode() == 0 {
		return nil
	}
	answer := &spb.Status{Code: want.Code, Message: want.Message}
	if details, ok := a.first(detailsKey); ok {
		var given spb.Status
		if err := proto.Unmarshal([]byte(details), &given); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		answer.Details = given.Details
	}
	return status.FromProto(answer).Err()
}

func payload(size int32) *Payload { return &Payload{Body: make([]byte, size)} }

type service struct{ UnimplementedTestServiceServer }

func (*service) EmptyCall(context.Context, *Empty) (*Empty, error) { return &Empty{}, nil }

func (*service) UnaryCall(ctx context.Context, in *SimpleRequest) (*SimpleResponse, error) {
	a := begin(ctx)
	if trailing, ok := a.first(trailingKey); ok {
		grpc.SetTrailer(ctx, metadata.Pairs(trailingKey, trailing))
	}
	if err := a.end(in.ResponseStatus); err != nil {
		return nil, err
	}
	return &SimpleResponse{Payload: payload(in.ResponseSize)}, nil
}

func (*service) StreamingOutputCall(
	in *StreamingOutputCallRequest, stream TestService_StreamingOutputCallServer,
) error {
	ctx := stream.Context()
	a := begin(ctx)
	if trailing, ok := a.first(trailingKey); ok {
		stream.SetTrailer(metadata.Pairs(trailingKey, trailing))
	}
	for _, each := range in.ResponseParameters {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(each.IntervalUs) * time.Microsecond):
		}
		if ctx.Err() == nil {
			stream.Send(&StreamingOutputCallResponse{Payload: payload(each.Size)})
		}
		if err := ctx.Err(); err != nil {
			if call, ok := a.first(callKey); ok {
				tell("cancelled", fields{"call": call})
			}
			return status.FromContextError(err).Err()
		}
	}
	return a.end(in.ResponseStatus)
}

func listen(options ...grpc.ServerOption) (*grpc.Server, string) {
	options = append(options, grpc.MaxConcurrentStreams(maxConcurrentStreams))
	server := grpc.NewServer(options...)
	RegisterTestServiceServer(server, &service{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go server.Serve(listener)
	return server, listener.Addr().String()
}

func main() {
	var told struct{ Certificate, Key string }
	if err := json.Unmarshal([]byte(os.Args[1]), &told); err != nil {
		panic(err)
	}
	tls, err := credentials.NewServerTLSFromFile(told.Certificate, told.Key)
	if err != nil {
		panic(err)
	}
	plain, address := listen()
	_, secure := listen(grpc.Creds(tls))
	// It compresses all that a server sends, or nothing.
	_, compressing := listen(grpc.RPCCompressor(grpc.NewGZIPCompressor()))
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	tell("listening", fields{
		"version": grpc.Version, "address": address, "tls": secure, "compressing": compressing,
	})
	<-terminated
	plain.GracefulStop()
}
