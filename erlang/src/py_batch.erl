%% @doc Calls that came in one frame (PROTOCOL.md, section 4.1), one argument each for the same function.
%%
%% One process runs them in turn, which costs a tenth of a process for each; but only as long as each of them ends soon. So that the
%% channel can take the rest away at any moment, whatever the function is doing, the process claims each call by a counter before it
%% begins it, and keeps each answer in a table of the channel's until all are sent together. Neither side ever waits for the other.
-module(py_batch).

-export([new/2, id/1, name/1, count/1, calls/2]).
-export([start/1, heap/1, work/4, split/1, ended/3, died/2, stop/1]).
-export([frames/2, room/0]).
-export_type([batch/0, index/0, answer/0]).

-type index() :: pos_integer().
-type answer() :: {index(), ok | error, Payload :: binary()}.

-record(batch, {
    id :: py_frame:id(),
    name :: binary(),
    count :: pos_integer(),
    payload :: binary(),
    %% How many calls are claimed; and who has claimed all of them at once is the channel, or the process when it is through.
    claims = none :: none | atomics:atomics_ref(),
    table = none :: none | ets:table(),
    claimed = open :: open | non_neg_integer(),
    %% How many answers the channel has taken out of the table.
    taken = 0 :: non_neg_integer()
}).

-opaque batch() :: #batch{}.

-define(TAKEN_BACK, (1 bsl 40)).
%% Results are sent together up to so many bytes, which is less than any max_frame.
-define(TOGETHER, 16#4000).
%% What a call of a small function leaves on the heap, in words; and for how many at once there is to be room.
-define(GARBAGE, 64).
-define(ROOMY, 128).

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

%% @doc The calls from that one on, each with the payload that it would have had in a frame of its own.
-spec calls(index(), batch()) -> [{index(), binary()}].
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

%% The channel's part

%% @doc Makes it ready to be worked at. The table belongs to the caller.
-spec start(batch()) -> batch().
start(Batch) ->
    Batch#batch{claims = atomics:new(1, []), table = ets:new(?MODULE, [set, public])}.

%% @doc With how large a heap the process is to begin, in words: to grow to it takes longer than the calls.
-spec heap(batch()) -> pos_integer().
heap(#batch{count = Count}) ->
    ?GARBAGE * min(Count, ?ROOMY).

%% @doc Takes back what has not been begun: the answers there are already, and the calls that the process will not begin any more. `late': it
%% is through, and its answers are on the way.
-spec split(batch()) -> {[answer()], [{index(), binary()}], batch()} | late.
split(#batch{count = Count} = Batch) ->
    case claimed(Batch) of
        Claimed when Claimed > Count ->
            late;
        Claimed ->
            {Answers, Batch1} = answers(Batch#batch{claimed = Claimed}),
            {Answers, calls(Claimed + 1, Batch), Batch1}
    end.

%% @doc The process has ended, for that reason, without having sent its answers. What it was in the midst of has failed with it.
-spec ended(term(), pos_integer(), batch()) -> {[answer()], [{index(), binary()}], batch()}.
ended(Reason, MaxFrame, #batch{count = Count, claimed = Before} = Batch) ->
    Claimed = min(claimed(Batch), Count),
    {Answers, #batch{taken = Taken} = Batch1} = answers(Batch#batch{claimed = Claimed}),
    {Kind, Payload} = died(Reason, MaxFrame),
    Died = [{Index, Kind, Payload} || Index <- lists:seq(Taken + 1, Claimed)],
    Rest = case Before of open -> calls(Claimed + 1, Batch); _ -> [] end,
    {Answers ++ Died, Rest, Batch1#batch{taken = Claimed}}.

%% @doc The answer of a call whose process has ended, for that reason.
-spec died(term(), pos_integer()) -> {ok | error, binary()}.
died(Reason, MaxFrame) ->
    py_function:answer({error, py_failure:raised(exit, Reason, [])}, MaxFrame, room()).

-spec claimed(batch()) -> non_neg_integer().
claimed(#batch{claimed = open, claims = Claims}) -> atomics:exchange(Claims, 1, ?TAKEN_BACK);
claimed(#batch{claimed = Claimed}) -> Claimed.

-spec answers(batch()) -> {[answer()], batch()}.
answers(#batch{table = Table, taken = Taken} = Batch) ->
    case ets:lookup(Table, Taken + 1) of
        [Answer] ->
            {Answers, Batch1} = answers(Batch#batch{taken = Taken + 1}),
            {[Answer | Answers], Batch1};
        [] ->
            {[], Batch}
    end.

%% @doc Nothing of it is wanted any more.
-spec stop(batch()) -> ok.
stop(#batch{table = none}) ->
    ok;
stop(#batch{table = Table}) ->
    true = ets:delete(Table),
    ok.

%% The process's part

-record(work, {
    channel :: pid(),
    batch :: batch(),
    name :: binary(),
    last = none :: py_registry:last(),
    max_frame :: pos_integer()
}).

%% @doc Runs the calls until all are done, or taken back, or one has left something behind that could disturb the next. Gives what is to be
%% sent, if that is everything. A batch that cannot be decoded is not begun: then each call is tried alone.
-spec work(pid(), batch(), py_term:policy(), pos_integer()) -> {answered, iodata()} | left.
work(Channel, #batch{count = Count, payload = Payload} = Batch, Policy, MaxFrame) ->
    case py_term:decode(Payload, Policy) of
        {ok, {Name, _Sizes, Args}} when length(Args) =:= Count ->
            run(1, Args, [], #work{channel = Channel, batch = Batch, name = Name, max_frame = MaxFrame});
        _ ->
            left
    end.

-spec run(index(), [term()], [answer()], #work{}) -> {answered, iodata()} | left.
run(Index, [Arg | Args], Done, #work{batch = #batch{claims = Claims, table = Table}, name = Name, max_frame = MaxFrame} = Work) ->
    case atomics:add_get(Claims, 1, 1) of
        Index ->
            {Found, Last} = py_registry:lookup(Name, Work#work.last),
            {Kind, Payload} = py_function:answer(py_function:run(Found, Name, [Arg]), MaxFrame, room()),
            Answer = {Index, Kind, Payload},
            true = ets:insert(Table, Answer),
            case Args =:= [] orelse clean(Work) of
                true -> run(Index + 1, Args, [Answer | Done], Work#work{last = Last});
                false -> left
            end;
        _ ->
            left
    end;
run(Index, [], Done, #work{batch = #batch{id = Id, claims = Claims}}) ->
    case atomics:add_get(Claims, 1, 1) of
        Index -> {answered, frames(Id, lists:reverse(Done))};
        _ -> left
    end.

%% Whether the process is as good as new. What it is linked to might end it, and a message be taken for another, in the midst of a call that
%% has nothing to do with either.
-spec clean(#work{}) -> boolean().
clean(#work{channel = Channel}) ->
    _ = get() =:= [] orelse erase(),
    _ = process_flag(trap_exit, false),
    case process_info(self(), [links, monitors, message_queue_len, registered_name]) of
        [{links, [Channel]}, {monitors, []}, {message_queue_len, 0}, {registered_name, []}] -> true;
        _ -> false
    end.

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
