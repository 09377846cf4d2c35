%% @doc The unfinished batches of one async channel (PROTOCOL.md, section 4.1).
%% {@link py_async} acts on it.
%%
%% One process runs the calls of a batch one after the other: a tenth of the cost of a process each.
%% It claims each call by a counter before it begins it, and sends each answer to the channel at
%% once. A process's messages arrive in order and before the news of its end, so no answer is lost
%% with the process, and the last claim tells the call it died in.
%%
%% A batch is split at most once: when its process has been at it for some time, or has ended. The
%% channel then claims the rest. So every call belongs to the batch's process, up to its last claim,
%% or has a process of its own, whenever the split comes.
-module(py_batches).

-export([new/1, is_key/2, count/1, add/2, start/2, claim/2, split/3, answer/3, ended/4, single/4, cancel/2]).
-export_type([batches/0, claims/0, calls/0, progress/0]).

%% How many calls the process has begun; beyond SPLIT: the others are the channel's.
-type claims() :: atomics:atomics_ref().

-record(entry, {
    count :: pos_integer(),
    %% Until the batch is split.
    batch :: py_batch:batch() | split,
    claims = none :: none | claims(),
    %% The process's unanswered calls are `next' to `last'. Until the split `next' is 1: py_async
    %% keeps the answers.
    next = 1 :: py_batch:index(),
    last :: non_neg_integer(),
    %% Unanswered calls with a process of their own.
    single = 0 :: non_neg_integer()
}).

-record(batches, {
    max_frame :: pos_integer(),
    entries = #{} :: #{py_frame:id() => #entry{}},
    %% Slow functions, each with the number of its next calls to go without a batch.
    slow = #{} :: #{Name :: binary() => Calls :: pos_integer()},
    answers = 0 :: non_neg_integer()
}).

-opaque batches() :: #batches{}.
%% Calls to be given a process each.
-type calls() :: [{{py_frame:id(), py_batch:index()}, Payload :: binary()}].

%% Whether the process has more to answer.
-type progress() :: over | running.

-define(SPLIT, (1 bsl 40)).
%% The calls of a slow function until a batch is tried again.
-define(ALONE, 4096).

-spec new(pos_integer()) -> batches().
new(MaxFrame) ->
    #batches{max_frame = MaxFrame}.

-spec is_key(term(), batches()) -> boolean().
is_key(Id, #batches{entries = Entries}) ->
    is_map_key(Id, Entries).

%% @doc How many calls have been answered.
-spec count(batches()) -> non_neg_integer().
count(#batches{answers = Answers}) ->
    Answers.

%% @doc A batch has come in. `alone': each of its calls is to have a process of its own at once. A
%% function whose first call outlasted the time of its batch would lose that time in every batch.
-spec add(py_batch:batch(), batches()) -> {together, batches()} | {alone, calls(), batches()}.
add(Batch, #batches{slow = Slow} = Batches) ->
    {Id, Name, Count} = {py_batch:id(Batch), py_batch:name(Batch), py_batch:count(Batch)},
    Entry = #entry{count = Count, batch = Batch, last = Count},
    case Slow of
        #{Name := Left} ->
            Slow1 = if Left > Count -> Slow#{Name := Left - Count}; true -> maps:remove(Name, Slow) end,
            {Entry1, Calls} = give_out(0, Id, Entry),
            {alone, Calls, put(Id, Entry1, Batches#batches{slow = Slow1})};
        #{} ->
            {together, put(Id, Entry, Batches)}
    end.

%% @doc The counter for the process about to begin.
-spec start(py_frame:id(), batches()) -> {claims(), batches()}.
start(Id, #batches{entries = Entries} = Batches) ->
    #{Id := Entry} = Entries,
    Claims = atomics:new(1, []),
    {Claims, put(Id, Entry#entry{claims = Claims}, Batches)}.

%% @doc For the process: whether the call is its to begin.
-spec claim(py_batch:index(), claims()) -> boolean().
claim(Index, Claims) ->
    atomics:add_get(Claims, 1, 1) =:= Index.

%% @doc The process has had its time. Its answers so far, the youngest first, are sent; the calls
%% not begun are given out.
-spec split(py_frame:id(), [py_batch:answer()], batches()) -> {iodata(), calls(), progress(), batches()}.
split(Id, Kept, #batches{entries = Entries, slow = Slow} = Batches) ->
    #{Id := #entry{batch = Batch} = Entry} = Entries,
    {#entry{last = Last} = Entry1, Calls} = take_over(Id, Entry),
    Slow1 = if Last =:= 1, Kept =:= [], Calls =/= [] -> Slow#{py_batch:name(Batch) => ?ALONE}; true -> Slow end,
    {Frames, Entry2, Batches1} = send(Id, Kept, Entry1, Batches#batches{slow = Slow1}),
    {Frames, Calls, progress(Entry2), Batches1}.

%% @doc An answer of the process after the split. `over': it has no more to answer.
-spec answer(py_frame:id(), py_batch:answer(), batches()) -> {iodata(), progress(), batches()}.
answer(Id, Answer, #batches{entries = Entries} = Batches) ->
    #{Id := Entry} = Entries,
    {Frames, Entry1, Batches1} = send(Id, [Answer], Entry, Batches),
    {Frames, progress(Entry1), Batches1}.

%% @doc The process has ended: it is through, or leaves the rest to others, or has died in a call.
%% The call fails with that reason. Given are its answers not yet sent, the youngest first.
-spec ended(py_frame:id(), [py_batch:answer()], term(), batches()) -> {iodata(), calls(), batches()}.
ended(Id, Kept, Reason, #batches{entries = Entries, max_frame = MaxFrame} = Batches) ->
    #{Id := Entry} = Entries,
    {#entry{next = Next, last = Last} = Entry1, Calls} = take_over(Id, Entry),
    Kept1 =
        case Next + length(Kept) of
            Last ->
                {Kind, Payload} = died(Reason, MaxFrame),
                [{Last, Kind, Payload} | Kept];
            Beyond when Beyond =:= Last + 1 ->
                Kept
        end,
    {Frames, _, Batches1} = send(Id, Kept1, Entry1, Batches),
    {Frames, Calls, Batches1}.

%% @doc The answer of a call with a process of its own.
-spec single(py_frame:id(), py_batch:index(), {ok | error, binary()} | {exit, term()}, batches()) ->
    {iodata(), batches()}.
single(Id, Index, {exit, Reason}, #batches{max_frame = MaxFrame} = Batches) ->
    single(Id, Index, died(Reason, MaxFrame), Batches);
single(Id, Index, {Kind, Payload}, #batches{entries = Entries, answers = Answers} = Batches) ->
    #{Id := #entry{single = Single} = Entry} = Entries,
    {py_batch:frames(Id, [{Index, Kind, Payload}]),
     put(Id, Entry#entry{single = Single - 1}, Batches#batches{answers = Answers + 1})}.

%% @doc Forgets a batch, if there is one of that id. Gives all calls to be cancelled.
-spec cancel(py_frame:id(), batches()) -> {[py_backlog:key()], batches()}.
cancel(Id, #batches{entries = Entries} = Batches) ->
    case maps:take(Id, Entries) of
        {#entry{last = Last, count = Count}, Rest} ->
            {[Id | [{Id, Index} || Index <- lists:seq(Last + 1, Count)]], Batches#batches{entries = Rest}};
        error ->
            {[Id], Batches}
    end.

%% Leaves the begun calls to the process and gives out the others, once.
-spec take_over(py_frame:id(), #entry{}) -> {#entry{}, calls()}.
take_over(_Id, #entry{batch = split} = Entry) ->
    {Entry, []};
take_over(Id, #entry{claims = Claims} = Entry) ->
    give_out(atomics:exchange(Claims, 1, ?SPLIT), Id, Entry).

-spec give_out(Claimed :: non_neg_integer(), py_frame:id(), #entry{}) -> {#entry{}, calls()}.
give_out(Claimed, Id, #entry{batch = Batch, count = Count} = Entry) ->
    Calls = [{{Id, Index}, Payload} || {Index, Payload} <- py_batch:calls(Claimed + 1, Batch)],
    {Entry#entry{batch = split, last = Claimed, single = Count - Claimed}, Calls}.

-spec progress(#entry{}) -> progress().
progress(#entry{next = Next, last = Last}) when Next > Last -> over;
progress(#entry{}) -> running.

%% The answer of a call after the death of its process.
-spec died(term(), pos_integer()) -> {ok | error, binary()}.
died(Reason, MaxFrame) ->
    py_function:answer({error, py_failure:raised(exit, Reason, [])}, MaxFrame, py_batch:room()).

%% The frames of these answers of the process.
-spec send(py_frame:id(), [py_batch:answer()], #entry{}, batches()) -> {iodata(), #entry{}, batches()}.
send(Id, Kept, #entry{next = Next} = Entry, #batches{answers = Answers} = Batches) ->
    Count = length(Kept),
    Entry1 = Entry#entry{next = Next + Count},
    {py_batch:frames(Id, lists:reverse(Kept)), Entry1, put(Id, Entry1, Batches#batches{answers = Answers + Count})}.

%% An entry without open calls goes.
-spec put(py_frame:id(), #entry{}, batches()) -> batches().
put(Id, #entry{next = Next, last = Last, single = 0}, #batches{entries = Entries} = Batches) when Next > Last ->
    Batches#batches{entries = maps:remove(Id, Entries)};
put(Id, Entry, #batches{entries = Entries} = Batches) ->
    Batches#batches{entries = Entries#{Id => Entry}}.
