%% @doc The payload of a `calls' frame (PROTOCOL.md, section 4.1), and the frames of its answers.
%% Pure.
-module(py_batch).

-export([new/2, id/1, name/1, count/1, payload/1, calls/2, frames/2, room/0]).
-export_type([batch/0, index/0, answer/0]).

-type index() :: pos_integer().
-type answer() :: {index(), ok | error, Payload :: binary()}.

-record(batch, {
    id :: py_frame:id(),
    name :: binary(),
    count :: pos_integer(),
    payload :: binary()
}).

-opaque batch() :: #batch{}.

%% Results are sent together up to so many bytes, which is less than any max_frame.
-define(TOGETHER, 16#4000).

%% @doc The batch in the payload of a `calls' frame.
-spec new(py_frame:id(), binary()) -> {ok, batch()} | error.
new(Id, <<131, 104, 3, 109, L:32, Name:L/binary, 109, S:32, Sizes:S/binary, 108, Count:32, Items/binary>> = Payload)
        when Count > 0, S =:= 4 * Count ->
    case sum(Sizes, 1) =:= byte_size(Items) of
        true -> {ok, #batch{id = Id, name = Name, count = Count, payload = Payload}};
        false -> error
    end;
new(_Id, _Payload) ->
    error.

-spec sum(binary(), non_neg_integer()) -> non_neg_integer().
sum(<<Size:32, Sizes/binary>>, Sum) -> sum(Sizes, Sum + Size);
sum(<<>>, Sum) -> Sum.

-spec id(batch()) -> py_frame:id().
id(#batch{id = Id}) -> Id.

-spec name(batch()) -> binary().
name(#batch{name = Name}) -> Name.

-spec count(batch()) -> pos_integer().
count(#batch{count = Count}) -> Count.

-spec payload(batch()) -> binary().
payload(#batch{payload = Payload}) -> Payload.

%% @doc The calls from that one on, each with the payload that it would have had in a frame of its
%% own.
-spec calls(index(), batch()) -> [{index(), binary()}].
calls(From, #batch{count = Count}) when From > Count ->
    [];
calls(From, #batch{payload = <<131, 104, 3, 109, L:32, Name:L/binary, 109, S:32, Sizes:S/binary, 108, _:32, Items/binary>>}) ->
    Head = <<131, 104, 2, 109, L:32, Name/binary, 108, 1:32>>,
    cut(1, From, Head, Sizes, Items).

-spec cut(index(), index(), binary(), binary(), binary()) -> [{index(), binary()}].
cut(Index, From, Head, <<Size:32, Sizes/binary>>, Items) ->
    <<Item:Size/binary, Rest/binary>> = Items,
    case Index < From of
        true -> cut(Index + 1, From, Head, Sizes, Rest);
        false -> [{Index, <<Head/binary, Item/binary, 106>>} | cut(Index + 1, From, Head, Sizes, Rest)]
    end;
cut(_Index, _From, _Head, <<>>, _Items) ->
    [].

%% Answers

%% @doc What a frame holds beside the payload of one answer, in bytes.
-spec room() -> pos_integer().
room() -> 10.

%% @doc The frames of answers, results in a row together.
-spec frames(py_frame:id(), [answer()]) -> iodata().
frames(Id, [{Index, error, <<131, Failure/binary>>} | Answers]) ->
    Head = <<131, 104, 2, 98, Index:32>>,
    [frame(error, Id, Head, byte_size(Failure), Failure) | frames(Id, Answers)];
frames(Id, [{Index, ok, _} | _] = Answers) ->
    {Size, Results, Next, Rest} = row(Index, Answers, 0),
    Head = <<131, 105, (Next - Index + 1):32, 98, Index:32>>,
    [frame(ok, Id, Head, Size, Results) | frames(Id, Rest)];
frames(_Id, []) ->
    [].

-spec frame(ok | error, py_frame:id(), binary(), non_neg_integer(), iodata()) -> iodata().
frame(Kind, Id, Head, Size, Body) ->
    [py_frame:header(Kind, Id, byte_size(Head) + Size), Head | Body].

%% The results from that index on, without a gap, and not too large together.
-spec row(index(), [answer()], non_neg_integer()) -> {non_neg_integer(), [binary()], index(), [answer()]}.
row(Index, [{Index, ok, <<131, Result/binary>>} | Answers], Size) when Size =:= 0; Size + byte_size(Result) =< ?TOGETHER ->
    {Sum, Results, Next, Rest} = row(Index + 1, Answers, Size + byte_size(Result)),
    {Sum, [Result | Results], Next, Rest};
row(Index, Answers, Size) ->
    {Size, [], Index, Answers}.
