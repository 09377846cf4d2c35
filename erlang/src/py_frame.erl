%% @doc Frames of the channel protocol (PROTOCOL.md, section 2). Pure.
%%
%% ```
%% <<Length:32/big, Kind:8, Id:32/big, Payload/binary>>        Length = 5 + byte_size(Payload)
%% '''
-module(py_frame).

-export([encode/3, header/3, decode/2, length_field/1]).
-export_type([kind/0, id/0, frame/0, reason/0]).

-type kind() :: hello | call | ok | error | cast | cancel | bye | calls.
-type id() :: 0..16#FFFFFFFF.
-type frame() :: {kind(), id(), Payload :: binary()}.
-type reason() :: {frame_too_large, pos_integer()} | {bad_length, non_neg_integer()} | {bad_kind, byte()}.

%% Kind and Id, which Length counts.
-define(FIXED, 5).
-define(HEADER, 9).

%% @doc The whole frame in one binary.
-spec encode(kind(), id(), binary()) -> binary().
encode(Kind, Id, Payload) ->
    <<(length_field(byte_size(Payload))):32, (number(Kind)):8, Id:32, Payload/binary>>.

%% @doc The part before a payload of `Size' bytes, for one too large to be copied.
-spec header(kind(), id(), non_neg_integer()) -> binary().
header(Kind, Id, Size) ->
    <<(length_field(Size)):32, (number(Kind)):8, Id:32>>.

%% @doc What the length field says of a payload of `Size' bytes; `max_frame' limits this number.
-spec length_field(non_neg_integer()) -> pos_integer().
length_field(Size) ->
    Size + ?FIXED.

%% @doc The first frame of what has arrived, or how many bytes are wanted at least before asking again.
%% An over-long frame is refused by its length, before its payload is waited for.
-spec decode(binary(), pos_integer()) ->
    {ok, frame(), Rest :: binary()} | {more, pos_integer()} | {error, reason()}.
decode(<<Length:32, _/binary>>, _Max) when Length < ?FIXED ->
    {error, {bad_length, Length}};
decode(<<Length:32, _/binary>>, Max) when Length > Max ->
    {error, {frame_too_large, Length}};
decode(<<Length:32, Number:8, Id:32, Tail/binary>>, _Max) ->
    Size = Length - ?FIXED,
    case {kind(Number), Tail} of
        {unknown, _} -> {error, {bad_kind, Number}};
        {Kind, <<Payload:Size/binary, Rest/binary>>} -> {ok, {Kind, Id, Payload}, Rest};
        {_, _} -> {more, Size - byte_size(Tail)}
    end;
decode(Short, _Max) ->
    {more, ?HEADER - byte_size(Short)}.

-spec number(kind()) -> 1..8.
number(hello) -> 1;
number(call) -> 2;
number(ok) -> 3;
number(error) -> 4;
number(cast) -> 5;
number(cancel) -> 6;
number(bye) -> 7;
number(calls) -> 8.

-spec kind(byte()) -> kind() | unknown.
kind(1) -> hello;
kind(2) -> call;
kind(3) -> ok;
kind(4) -> error;
kind(5) -> cast;
kind(6) -> cancel;
kind(7) -> bye;
kind(8) -> calls;
kind(_) -> unknown.
