%% @doc Calls of a given context, under the names that code written for erlang_python 4.x knows. They differ from {@link py:call/4} and its like
%% with a context first: there is no limit of time unless one is given; and `__main__' is the context's own, for whoever calls, and is freed
%% with the context.
-module(py_context).

-export([call/4, call/5, call/6, eval/2, eval/3, eval/4, exec/2, interrupt/1]).

-spec call(py:context(), py:name(), py:name(), [term()]) -> py_result:result().
call(Context, Module, Function, Args) ->
    call(Context, Module, Function, Args, #{}).

-spec call(py:context(), py:name(), py:name(), [term()], py:keywords()) -> py_result:result().
call(Context, Module, Function, Args, Keywords) ->
    call(Context, Module, Function, Args, Keywords, infinity).

-spec call(py:context(), py:name(), py:name(), [term()], py:keywords(), timeout()) -> py_result:result().
call(Context, Module, Function, Args, Keywords, Timeout) ->
    perform(Context, py_request:call(Module, Function, Args, Keywords), Timeout).

-spec eval(py:context(), py:code()) -> py_result:result().
eval(Context, Code) ->
    eval(Context, Code, #{}).

-spec eval(py:context(), py:code(), py:keywords()) -> py_result:result().
eval(Context, Code, Locals) ->
    eval(Context, Code, Locals, infinity).

-spec eval(py:context(), py:code(), py:keywords(), timeout()) -> py_result:result().
eval(Context, Code, Locals, Timeout) ->
    perform(Context, py_request:eval(Code, Locals), Timeout).

-spec exec(py:context(), py:code()) -> ok | {error, py_result:failure()}.
exec(Context, Code) ->
    case perform(Context, py_request:exec(Code), infinity) of
        {ok, _} -> ok;
        {error, Reason} -> {error, Reason}
    end.

%% @doc As {@link py:interrupt/1}.
-spec interrupt(py:context()) -> ok | not_running.
interrupt(Context) ->
    py:interrupt(Context).

-spec perform(py:context(), py_request:request(), timeout()) -> py_result:result().
perform(Context, Request, Timeout) when is_pid(Context) ->
    py_request:perform({context, Context}, Request, Context, Timeout).
