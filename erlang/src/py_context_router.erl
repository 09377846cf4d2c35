%% @doc Which context to use, under the names that code written for erlang_python 4.x knows. See {@link py:context/0}.
-module(py_context_router).

-export([start/0, start/1, stop/0, is_started/0, num_contexts/0, contexts/0]).
-export([get_context/0, get_context/1, bind_context/1, unbind_context/0, where/0]).

%% For the contexts to start.
-define(TIMEOUT, 30000).

%% In the dictionary of a process: its context, which it has asked for (`bound') or just been given (`given').
-define(KEY, '$py_context').

%% @doc As {@link py:start_contexts/0}.
-spec start() -> {ok, [py:context()]} | {error, py_result:failure()}.
start() ->
    py:start_contexts().

%% @doc As {@link py:start_contexts/1}.
-spec start(#{contexts => pos_integer(), term() => term()}) -> {ok, [py:context()]} | {error, py_result:failure()}.
start(Options) ->
    py:start_contexts(Options).

%% @doc As {@link py:stop_contexts/0}.
-spec stop() -> ok.
stop() ->
    py:stop_contexts().

%% @doc As {@link py:contexts_started/0}.
-spec is_started() -> boolean().
is_started() ->
    py:contexts_started().

%% @doc How many contexts there are, once they have started; 0 when they cannot.
-spec num_contexts() -> non_neg_integer().
num_contexts() ->
    length(contexts()).

-spec contexts() -> [py:context()].
contexts() ->
    case py_contexts:list(all, ?TIMEOUT) of
        {ok, Contexts} -> Contexts;
        _ -> []
    end.

%% @doc The context of the calling process: the one it is bound to; or one that goes with the scheduler it first asked on, and from then on
%% the same. When that context has ended, another.
-spec get_context() -> py:context().
get_context() ->
    case get(?KEY) of
        {How, Context} ->
            case is_process_alive(Context) of
                true -> Context;
                false -> choose(How)
            end;
        undefined ->
            choose(given)
    end.

-spec choose(bound | given) -> py:context().
choose(How) ->
    Context = get_context(erlang:system_info(scheduler_id)),
    _ = put(?KEY, {How, Context}),
    Context.

%% @doc The context of that number, from 1.
-spec get_context(pos_integer()) -> py:context().
get_context(Number) ->
    py:context(Number).

%% @doc Has the calling process's `py:call', `py:eval' and `py:exec' that name no context go to this one.
-spec bind_context(py:context()) -> ok.
bind_context(Context) when is_pid(Context) ->
    _ = put(?KEY, {bound, Context}),
    ok.

%% @doc Has them go to any context again.
-spec unbind_context() -> ok.
unbind_context() ->
    _ = erase(?KEY),
    ok.

%% @private
%% Where the calling process's calls go that name no context.
-spec where() -> py_request:where().
where() ->
    case get(?KEY) of
        {bound, _} -> {context, get_context()};
        _ -> any
    end.
