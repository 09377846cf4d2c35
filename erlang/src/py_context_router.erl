%% @doc Which context to use, under the names that code written for erlang_python 4.x knows. See {@link py:context/0}.
-module(py_context_router).

-export([num_contexts/0, get_context/0, get_context/1, contexts/0]).

%% For the contexts to start.
-define(TIMEOUT, 30000).

%% @doc How many contexts there are, once they have started; 0 when they cannot.
-spec num_contexts() -> non_neg_integer().
num_contexts() ->
    length(contexts()).

%% @doc The context that goes with the scheduler the caller runs on.
-spec get_context() -> py:context().
get_context() ->
    py:context().

%% @doc The context of that number, from 1.
-spec get_context(pos_integer()) -> py:context().
get_context(Number) ->
    py:context(Number).

-spec contexts() -> [py:context()].
contexts() ->
    case py_contexts:list(all, ?TIMEOUT) of
        {ok, Contexts} -> Contexts;
        _ -> []
    end.
