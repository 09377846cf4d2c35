%% @doc The calls of one async channel: which run, which wait for their turn. Pure; {@link py_async} does what it says.
-module(py_backlog).

-export([new/1, add/3, add_first/2, next/1, started/3, over/2, cancel/2, workers/1, counts/1]).
-export_type([backlog/0, key/0, work/0]).

%% The id of a call or a batch, that of a call of a batch, or a reference that stands for a cast, which nobody can cancel.
-type key() :: py_frame:id() | {py_frame:id(), py_batch:index()} | reference().
%% What is to be done: a call's payload, or a batch.
-type work() :: binary() | py_batch:batch().
-type call() :: {waiting, work()} | {running, pid()}.

-record(backlog, {
    max :: pos_integer(),
    calls = #{} :: #{key() => call()},
    %% In order of arrival, with those that were cancelled meanwhile.
    queue = queue:new() :: queue:queue(key()),
    %% The processes, each with what it works for. A cancelled one counts until it has ended.
    workers = #{} :: #{pid() => key() | cancelled}
}).

-opaque backlog() :: #backlog{}.

-spec new(pos_integer()) -> backlog().
new(Max) ->
    #backlog{max = Max}.

%% @doc A call has come in. `error': one of that id is under way already.
-spec add(key(), work(), backlog()) -> {ok, backlog()} | error.
add(Key, _Work, #backlog{calls = Calls}) when is_map_key(Key, Calls) ->
    error;
add(Key, Work, #backlog{calls = Calls, queue = Queue} = Backlog) ->
    {ok, Backlog#backlog{calls = Calls#{Key => {waiting, Work}}, queue = queue:in(Key, Queue)}}.

%% @doc Calls that had their turn already, in a batch, and need another.
-spec add_first([{key(), work()}], backlog()) -> backlog().
add_first(Works, Backlog) ->
    lists:foldr(fun({Key, Work}, #backlog{calls = Calls, queue = Queue} = B) ->
        B#backlog{calls = Calls#{Key => {waiting, Work}}, queue = queue:in_r(Key, Queue)}
    end, Backlog, Works).

%% @doc The call whose turn it is, when there is room for one more.
-spec next(backlog()) -> {start, key(), work(), backlog()} | {none, backlog()}.
next(#backlog{max = Max, workers = Workers} = Backlog) when map_size(Workers) >= Max ->
    {none, Backlog};
next(#backlog{calls = Calls, queue = Queue} = Backlog) ->
    case queue:out(Queue) of
        {{value, Key}, Rest} ->
            case Calls of
                #{Key := {waiting, Work}} -> {start, Key, Work, Backlog#backlog{queue = Rest}};
                #{} -> next(Backlog#backlog{queue = Rest})
            end;
        {empty, _} ->
            {none, Backlog}
    end.

-spec started(key(), pid(), backlog()) -> backlog().
started(Key, Worker, #backlog{calls = Calls, workers = Workers} = Backlog) ->
    Backlog#backlog{calls = Calls#{Key := {running, Worker}}, workers = Workers#{Worker => Key}}.

%% @doc A process has answered, or has ended. Gives its call, unless that is answered or cancelled already.
-spec over(pid(), backlog()) -> {ok, key(), backlog()} | {ignore, none, backlog()}.
over(Worker, #backlog{calls = Calls, workers = Workers} = Backlog) ->
    case maps:take(Worker, Workers) of
        {cancelled, Rest} -> {ignore, none, Backlog#backlog{workers = Rest}};
        {Key, Rest} -> {ok, Key, Backlog#backlog{calls = maps:remove(Key, Calls), workers = Rest}};
        error -> {ignore, none, Backlog}
    end.

%% @doc Nobody waits for that call any more. One that is not under way is over already.
-spec cancel(key(), backlog()) -> {kill, pid(), backlog()} | {ok, backlog()}.
cancel(Key, #backlog{calls = Calls, workers = Workers} = Backlog) ->
    case maps:take(Key, Calls) of
        {{running, Worker}, Rest} -> {kill, Worker, Backlog#backlog{calls = Rest, workers = Workers#{Worker := cancelled}}};
        {{waiting, _}, Rest} -> {ok, Backlog#backlog{calls = Rest}};
        error -> {ok, Backlog}
    end.

%% @doc The processes that have not ended yet, as far as is known.
-spec workers(backlog()) -> [pid()].
workers(#backlog{workers = Workers}) ->
    maps:keys(Workers).

-spec counts(backlog()) -> {Running :: non_neg_integer(), Waiting :: non_neg_integer()}.
counts(#backlog{calls = Calls, workers = Workers}) ->
    Running = map_size(Workers),
    {Running, map_size(Calls) - length([Key || Key <- maps:values(Workers), Key =/= cancelled])}.
