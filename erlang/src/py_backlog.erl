%% @doc The calls of one async channel, running and waiting. Pure; {@link py_async} acts on it.
%%
%% Registered functions run in at most `max' processes at once and wait in order of arrival. A
%% builtin (PROTOCOL.md, section 4) needs no place: it ends soon, and a function may wait for it.
-module(py_backlog).

-export([new/1, is_key/2, add/4, add_first/2, run/4, next/1, started/3, key/2, over/2, ended/2, cancel/2]).
-export([workers/1, bytes/1, full/1, counts/1]).
-export_type([backlog/0, key/0, work/0]).

%% The id of a call or a batch, the place of a call in a batch, or a reference for a cast.
-type key() :: py_frame:id() | {py_frame:id(), py_batch:index()} | reference().
%% A call's payload, or a batch.
-type work() :: binary() | py_batch:batch().
-type call() :: {waiting, Number :: integer(), Size :: non_neg_integer(), work()}
              | {running, Size :: non_neg_integer(), pid()}.

-record(backlog, {
    max :: pos_integer(),
    calls = #{} :: #{key() => call()},
    %% Each entry has a number of its own: a key may be used again while its cancelled call stands
    %% here.
    queue = queue:new() :: queue:queue({key(), Number :: integer()}),
    number = 0 :: non_neg_integer(),
    waiting = 0 :: non_neg_integer(),
    %% Entries of cancelled calls in the queue.
    stale = 0 :: non_neg_integer(),
    %% A cancelled process counts until it has ended.
    workers = #{} :: #{pid() => {function | builtin, key() | cancelled}},
    functions = 0 :: non_neg_integer(),
    bytes = 0 :: non_neg_integer()
}).

-opaque backlog() :: #backlog{}.

%% The queue is swept once this many of its entries are stale, and more than half of them.
-define(SWEEP, 64).

-spec new(pos_integer()) -> backlog().
new(Max) ->
    #backlog{max = Max}.

-spec is_key(key(), backlog()) -> boolean().
is_key(Key, #backlog{calls = Calls}) ->
    is_map_key(Key, Calls).

%% @doc Adds a call at the end of the queue. Its key is not in use.
-spec add(key(), work(), Size :: non_neg_integer(), backlog()) -> backlog().
add(Key, Work, Size, Backlog) ->
    wait(Key, Work, Size, fun queue:in/2, Backlog).

%% @doc Adds calls of a batch at the front: the batch had its turn.
-spec add_first([{key(), binary()}], backlog()) -> backlog().
add_first(Calls, Backlog) ->
    lists:foldr(fun({Key, Payload}, B) ->
        wait(Key, Payload, byte_size(Payload), fun queue:in_r/2, B)
    end, Backlog, Calls).

-spec wait(key(), work(), non_neg_integer(), fun((term(), queue:queue()) -> queue:queue()), backlog()) ->
    backlog().
wait(Key, Work, Size, In, #backlog{calls = Calls, queue = Queue, number = Number} = Backlog) ->
    Backlog#backlog{
        calls = Calls#{Key => {waiting, Number, Size, Work}},
        queue = In({Key, Number}, Queue),
        number = Number + 1,
        waiting = Backlog#backlog.waiting + 1,
        bytes = Backlog#backlog.bytes + Size
    }.

%% @doc Adds a builtin, already running in the process.
-spec run(key(), Size :: non_neg_integer(), pid(), backlog()) -> backlog().
run(Key, Size, Worker, #backlog{calls = Calls, workers = Workers, bytes = Bytes} = Backlog) ->
    Backlog#backlog{
        calls = Calls#{Key => {running, Size, Worker}},
        workers = Workers#{Worker => {builtin, Key}},
        bytes = Bytes + Size
    }.

%% @doc The next call to start, if there is a place for it.
-spec next(backlog()) -> {start, key(), work(), backlog()} | {none, backlog()}.
next(#backlog{max = Max, functions = Functions} = Backlog) when Functions >= Max ->
    {none, Backlog};
next(#backlog{calls = Calls, queue = Queue, stale = Stale} = Backlog) ->
    case queue:out(Queue) of
        {{value, {Key, Number}}, Rest} ->
            case Calls of
                #{Key := {waiting, Number, _Size, Work}} ->
                    {start, Key, Work, Backlog#backlog{queue = Rest}};
                #{} ->
                    next(Backlog#backlog{queue = Rest, stale = Stale - 1})
            end;
        {empty, _} ->
            {none, Backlog}
    end.

%% @doc Notes the process of a call from {@link next/1}.
-spec started(key(), pid(), backlog()) -> backlog().
started(Key, Worker, #backlog{calls = Calls, workers = Workers} = Backlog) ->
    #{Key := {waiting, _, Size, _}} = Calls,
    Backlog#backlog{
        calls = Calls#{Key := {running, Size, Worker}},
        waiting = Backlog#backlog.waiting - 1,
        workers = Workers#{Worker => {function, Key}},
        functions = Backlog#backlog.functions + 1
    }.

%% @doc The call of a process. `error': it is over, or cancelled.
-spec key(pid(), backlog()) -> {ok, key()} | error.
key(Worker, #backlog{workers = Workers}) ->
    case Workers of
        #{Worker := {_, cancelled}} -> error;
        #{Worker := {_, Key}} -> {ok, Key};
        #{} -> error
    end.

%% @doc A running call is over. Its process gives up its place, though it may take a moment to end.
-spec over(key(), backlog()) -> backlog().
over(Key, #backlog{calls = Calls, bytes = Bytes} = Backlog) ->
    {{running, Size, Worker}, Rest} = maps:take(Key, Calls),
    vacate(Worker, Backlog#backlog{calls = Rest, bytes = Bytes - Size}).

%% @doc A process has ended. Gives its call, unless over or cancelled before.
-spec ended(pid(), backlog()) -> {ok, key(), backlog()} | {none, backlog()}.
ended(Worker, Backlog) ->
    case key(Worker, Backlog) of
        {ok, Key} -> {ok, Key, over(Key, Backlog)};
        error -> {none, vacate(Worker, Backlog)}
    end.

-spec vacate(pid(), backlog()) -> backlog().
vacate(Worker, #backlog{workers = Workers, functions = Functions} = Backlog) ->
    case maps:take(Worker, Workers) of
        {{function, _}, Rest} -> Backlog#backlog{workers = Rest, functions = Functions - 1};
        {{builtin, _}, Rest} -> Backlog#backlog{workers = Rest};
        error -> Backlog
    end.

%% @doc Cancels a call, if it is not over. Gives the process to kill.
-spec cancel(key(), backlog()) -> {kill, pid(), backlog()} | {ok, backlog()}.
cancel(Key, #backlog{calls = Calls, workers = Workers, bytes = Bytes} = Backlog) ->
    case maps:take(Key, Calls) of
        {{running, Size, Worker}, Rest} ->
            #{Worker := {Kind, Key}} = Workers,
            Workers1 = Workers#{Worker := {Kind, cancelled}},
            {kill, Worker, Backlog#backlog{calls = Rest, workers = Workers1, bytes = Bytes - Size}};
        {{waiting, _, Size, _}, Rest} ->
            Waiting = Backlog#backlog.waiting - 1,
            Stale = Backlog#backlog.stale + 1,
            {ok, sweep(Backlog#backlog{calls = Rest, waiting = Waiting, stale = Stale, bytes = Bytes - Size})};
        error ->
            {ok, Backlog}
    end.

%% Keeps the queue within twice the waiting calls, for a constant cost per cancelled call.
-spec sweep(backlog()) -> backlog().
sweep(#backlog{stale = Stale, waiting = Waiting} = Backlog) when Stale < ?SWEEP; Stale =< Waiting ->
    Backlog;
sweep(#backlog{calls = Calls, queue = Queue} = Backlog) ->
    Waits = fun({Key, Number}) ->
        case Calls of
            #{Key := {waiting, Number, _, _}} -> true;
            #{} -> false
        end
    end,
    Backlog#backlog{queue = queue:filter(Waits, Queue), stale = 0}.

%% @doc The processes that have not ended yet, as far as is known.
-spec workers(backlog()) -> [pid()].
workers(#backlog{workers = Workers}) ->
    maps:keys(Workers).

%% @doc The payloads of all calls together.
-spec bytes(backlog()) -> non_neg_integer().
bytes(#backlog{bytes = Bytes}) ->
    Bytes.

%% @doc Whether another call would have to wait.
-spec full(backlog()) -> boolean().
full(#backlog{max = Max, functions = Functions}) ->
    Functions >= Max.

-spec counts(backlog()) -> {Running :: non_neg_integer(), Waiting :: non_neg_integer()}.
counts(#backlog{workers = Workers, waiting = Waiting}) ->
    {map_size(Workers), Waiting}.
