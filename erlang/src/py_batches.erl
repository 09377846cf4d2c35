%% @doc The batches of one async channel that are not answered in full yet. {@link py_async} does what it says.
-module(py_batches).

-export([new/1, is_key/2, answers/1, add/2, start/2, answered/2, single/4, ended/3, late/3, cancel/2]).
-export_type([batches/0, more/0]).

%% A batch, how many of its calls are unanswered, and the timer of its process.
-record(entry, {
    batch :: py_batch:batch(),
    left :: non_neg_integer(),
    timer = none :: none | reference()
}).

-record(batches, {
    max_frame :: pos_integer(),
    entries = #{} :: #{py_frame:id() => #entry{}},
    answers = 0 :: non_neg_integer(),
    pace = py_pace:new() :: py_pace:pace()
}).

-opaque batches() :: #batches{}.

%% Frames to be sent, and calls that are to be run in processes of their own.
-type more() :: {iodata(), [{{py_frame:id(), py_batch:index()}, Payload :: binary()}]}.

%% After so many ms the calls that have not been begun are taken from the process.
-define(SOON, 1).

-spec new(pos_integer()) -> batches().
new(MaxFrame) ->
    #batches{max_frame = MaxFrame}.

-spec is_key(term(), batches()) -> boolean().
is_key(Id, #batches{entries = Entries}) ->
    is_map_key(Id, Entries).

%% @doc How many calls have been answered.
-spec answers(batches()) -> non_neg_integer().
answers(#batches{answers = Answers}) ->
    Answers.

%% @doc A batch has come in: what is to be queued for it.
-spec add(py_batch:batch(), batches()) -> {[{py_backlog:key(), py_backlog:work()}], batches()}.
add(Batch, #batches{pace = Pace} = Batches) ->
    Id = py_batch:id(Batch),
    Count = py_batch:count(Batch),
    Batches1 = put(Id, #entry{batch = Batch, left = Count}, Batches),
    case py_pace:alone(py_batch:name(Batch), Count, Pace) of
        {false, _} when Count > 1 -> {[{Id, Batch}], Batches1};
        {_, Pace1} -> {calls(Id, py_batch:calls(1, Batch)), Batches1#batches{pace = Pace1}}
    end.

%% @doc Its turn has come: what the process is to work at.
-spec start(py_frame:id(), batches()) -> {py_batch:batch(), batches()}.
start(Id, #batches{entries = Entries} = Batches) ->
    #{Id := #entry{batch = Batch} = Entry} = Entries,
    Started = py_batch:start(Batch),
    Timer = erlang:start_timer(?SOON, self(), {?MODULE, Id}),
    {Started, put(Id, Entry#entry{batch = Started, timer = Timer}, Batches)}.

%% @doc The process has answered all of it.
-spec answered(py_frame:id(), batches()) -> batches().
answered(Id, #batches{entries = Entries, answers = Sum, pace = Pace} = Batches) ->
    #{Id := #entry{batch = Batch, left = Left} = Entry} = Entries,
    remove(Id, Entry, Batches#batches{answers = Sum + Left, pace = py_pace:quick(py_batch:name(Batch), Pace)}).

%% @doc One of its calls is over, which had a process of its own.
-spec single(py_frame:id(), py_batch:index(), {ok | error, binary()} | {exit, term()}, batches()) -> {iodata(), batches()}.
single(Id, Index, Outcome, #batches{entries = Entries, max_frame = MaxFrame} = Batches) ->
    #{Id := Entry} = Entries,
    {Kind, Payload} =
        case Outcome of
            {exit, Reason} -> py_batch:died(Reason, MaxFrame);
            Answer -> Answer
        end,
    answer(Id, Entry, [{Index, Kind, Payload}], Batches).

%% @doc Its process has ended without a word.
-spec ended(py_frame:id(), term(), batches()) -> {more(), batches()}.
ended(Id, Reason, #batches{entries = Entries, max_frame = MaxFrame} = Batches) ->
    #{Id := #entry{batch = Batch} = Entry} = Entries,
    more(Id, Entry, py_batch:ended(Reason, MaxFrame, Batch), Batches).

%% @doc Its process has had its time.
-spec late(py_frame:id(), reference(), batches()) -> {more(), batches()}.
late(Id, Timer, #batches{entries = Entries} = Batches) ->
    case Entries of
        #{Id := #entry{batch = Batch, timer = Timer} = Entry} ->
            case py_batch:split(Batch) of
                late -> {{[], []}, Batches};
                Split -> more(Id, Entry, Split, Batches)
            end;
        #{} ->
            {{[], []}, Batches}
    end.

%% @doc Nobody waits for it any more: the calls of it that may be under way.
-spec cancel(py_frame:id(), batches()) -> {[py_backlog:key()], batches()}.
cancel(Id, #batches{entries = Entries} = Batches) ->
    case Entries of
        #{Id := #entry{batch = Batch} = Entry} ->
            Keys = [{Id, Index} || Index <- lists:seq(1, py_batch:count(Batch))],
            {[Id | Keys], remove(Id, Entry, Batches)};
        #{} ->
            {[Id], Batches}
    end.

-type split() :: {[py_batch:answer()], [{py_batch:index(), binary()}], py_batch:batch()}.

-spec more(py_frame:id(), #entry{}, split(), batches()) -> {more(), batches()}.
more(Id, Entry, {Answers, Rest, Batch}, #batches{pace = Pace} = Batches) ->
    Pace1 = case Rest of [] -> Pace; _ -> py_pace:slow(py_batch:name(Batch), Pace) end,
    {Frames, Batches1} = answer(Id, Entry#entry{batch = Batch}, Answers, Batches#batches{pace = Pace1}),
    {{Frames, calls(Id, Rest)}, Batches1}.

-spec answer(py_frame:id(), #entry{}, [py_batch:answer()], batches()) -> {iodata(), batches()}.
answer(Id, #entry{left = Left} = Entry, Answers, #batches{answers = Sum} = Batches) ->
    Count = length(Answers),
    Batches1 = Batches#batches{answers = Sum + Count},
    {py_batch:frames(Id, Answers),
     case Left - Count of
         0 -> remove(Id, Entry, Batches1);
         Less -> put(Id, Entry#entry{left = Less}, Batches1)
     end}.

-spec calls(py_frame:id(), [{py_batch:index(), binary()}]) -> [{{py_frame:id(), py_batch:index()}, binary()}].
calls(Id, Calls) ->
    [{{Id, Index}, Payload} || {Index, Payload} <- Calls].

-spec put(py_frame:id(), #entry{}, batches()) -> batches().
put(Id, Entry, #batches{entries = Entries} = Batches) ->
    Batches#batches{entries = Entries#{Id => Entry}}.

-spec remove(py_frame:id(), #entry{}, batches()) -> batches().
remove(Id, #entry{batch = Batch, timer = Timer}, #batches{entries = Entries} = Batches) ->
    ok = py_batch:stop(Batch),
    _ = Timer =:= none orelse erlang:cancel_timer(Timer, [{async, true}, {info, false}]),
    Batches#batches{entries = maps:remove(Id, Entries)}.
