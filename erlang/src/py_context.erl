%% @doc Calls of a given context, under the names that code written for erlang_python 4.x knows. As {@link py:call/4} and its like with a context
%% first, but without a limit of time unless one is given.
-module(py_context).

-export([call/4, call/5, call/6, eval/2, eval/3, eval/4, exec/2]).

-spec call(py:context(), py:name(), py:name(), [term()]) -> py_result:result().
call(Context, Module, Function, Args) ->
    call(Context, Module, Function, Args, #{}).

-spec call(py:context(), py:name(), py:name(), [term()], py:keywords()) -> py_result:result().
call(Context, Module, Function, Args, Keywords) ->
    call(Context, Module, Function, Args, Keywords, infinity).

-spec call(py:context(), py:name(), py:name(), [term()], py:keywords(), timeout()) -> py_result:result().
call(Context, Module, Function, Args, Keywords, Timeout) ->
    py:call(Context, Module, Function, Args, Keywords, Timeout).

-spec eval(py:context(), py:code()) -> py_result:result().
eval(Context, Code) ->
    eval(Context, Code, #{}).

-spec eval(py:context(), py:code(), py:keywords()) -> py_result:result().
eval(Context, Code, Locals) ->
    eval(Context, Code, Locals, infinity).

-spec eval(py:context(), py:code(), py:keywords(), timeout()) -> py_result:result().
eval(Context, Code, Locals, Timeout) ->
    py:eval(Context, Code, Locals, Timeout).

-spec exec(py:context(), py:code()) -> ok | {error, py_result:failure()}.
exec(Context, Code) ->
    case py_request:perform({context, Context}, py_request:exec(Code), infinity) of
        {ok, _} -> ok;
        {error, Reason} -> {error, Reason}
    end.
