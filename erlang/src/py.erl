%% @doc Python for Erlang, and Erlang for Python.
%%
%% Functions registered here can be called from any Python thread:
%% ```
%% py:register_function(double_it, fun([X]) -> X * 2 end).     % erlang.call('double_it', 21) in Python
%% '''
%% and Python can be called from any process:
%% ```
%% {ok, 4.0} = py:call(math, sqrt, [16]).
%% {ok, 42} = py:eval("x * y", #{x => 6, y => 7}).
%% ok = py:exec("def greet(name): return 'Hello ' + name").
%% {ok, <<"Hello you">>} = py:call('__main__', greet, [<<"you">>]).
%% '''
%% Python runs in an operating-system process of its own, in threads called contexts. What `exec' defines belongs to the calling process.
%% A call made by a registered function while a Python thread waits for it runs on that very thread.
-module(py).

%% Functions for Python
-export([register_function/2, register_function/3, unregister_function/1]).
%% Calls of Python
-export([call/3, call/4, call/5, call/6, eval/1, eval/2, eval/3, eval/4, exec/1, exec/2, version/0]).
%% Contexts
-export([start_contexts/0, start_contexts/1, stop_contexts/0, contexts_started/0, context/0, context/1]).
%% Insight
-export([stats/0]).

-export_type([name/0, code/0, keywords/0, context/0]).

-type name() :: atom() | binary() | string().
-type code() :: unicode:chardata().
-type keywords() :: #{name() => term()} | [{name(), term()}].
-type context() :: pid().

-define(TIMEOUT, 30000).

%% @doc Registers a fun under a name. It gets one list, the arguments of the Python call, and runs in the process that serves the
%% calling thread. An earlier one of that name is replaced.
-spec register_function(name(), fun(([term()]) -> term())) -> ok.
register_function(Name, Fun) when is_function(Fun, 1) ->
    started(fun() -> py_registry:add(Name, Fun) end);
register_function(Name, Fun) ->
    error(badarg, [Name, Fun]).

%% @doc The same for `Module:Function/1', looked up anew on each call.
-spec register_function(name(), module(), atom()) -> ok.
register_function(Name, Module, Function) when is_atom(Module), is_atom(Function) ->
    started(fun() -> py_registry:add(Name, {Module, Function}) end);
register_function(Name, Module, Function) ->
    error(badarg, [Name, Module, Function]).

%% @doc Unregisters; calls that run go on.
-spec unregister_function(name()) -> ok.
unregister_function(Name) ->
    started(fun() -> py_registry:remove(Name) end).

%% @doc Calls `Module.Function(*Args)', for up to 30 seconds.
-spec call(name(), name(), [term()]) -> py_result:result().
call(Module, Function, Args) ->
    call(Module, Function, Args, #{}).

%% @doc Calls with keyword arguments; or, with a context first, as {@link call/3}.
-spec call(name(), name(), [term()], keywords()) -> py_result:result();
          (context(), name(), name(), [term()]) -> py_result:result().
call(Context, Module, Function, Args) when is_pid(Context) ->
    call(Context, Module, Function, Args, #{});
call(Module, Function, Args, Keywords) ->
    call(Module, Function, Args, Keywords, ?TIMEOUT).

%% @doc Calls with a limit in ms. When it runs out, the context that was at it is given up, and `{error, timeout}' returned.
-spec call(name(), name(), [term()], keywords(), timeout()) -> py_result:result();
          (context(), name(), name(), [term()], keywords()) -> py_result:result().
call(Context, Module, Function, Args, Keywords) when is_pid(Context) ->
    call(Context, Module, Function, Args, Keywords, ?TIMEOUT);
call(Module, Function, Args, Keywords, Timeout) ->
    do_call(any, Module, Function, Args, Keywords, Timeout).

-spec call(context(), name(), name(), [term()], keywords(), timeout()) -> py_result:result().
call(Context, Module, Function, Args, Keywords, Timeout) when is_pid(Context) ->
    do_call({context, Context}, Module, Function, Args, Keywords, Timeout).

-spec do_call(where(), name(), name(), [term()], keywords(), timeout()) -> py_result:result().
do_call(Where, Module, Function, Args, Keywords, Timeout) when is_list(Args) ->
    Name = py_registry:name(Module),
    run(Where, call, [Name, py_registry:name(Function), Args, binary_keys(Keywords)], Name =:= <<"__main__">>, Timeout).

%% @doc The value of an expression.
-spec eval(code()) -> py_result:result().
eval(Code) ->
    eval(Code, #{}).

%% @doc With local variables.
-spec eval(code(), keywords()) -> py_result:result();
          (context(), code()) -> py_result:result().
eval(Context, Code) when is_pid(Context) ->
    eval(Context, Code, #{});
eval(Code, Locals) ->
    eval(Code, Locals, ?TIMEOUT).

-spec eval(code(), keywords(), timeout()) -> py_result:result();
          (context(), code(), keywords()) -> py_result:result().
eval(Context, Code, Locals) when is_pid(Context) ->
    eval(Context, Code, Locals, ?TIMEOUT);
eval(Code, Locals, Timeout) ->
    do_eval(any, Code, Locals, Timeout).

-spec eval(context(), code(), keywords(), timeout()) -> py_result:result().
eval(Context, Code, Locals, Timeout) when is_pid(Context) ->
    do_eval({context, Context}, Code, Locals, Timeout).

-spec do_eval(where(), code(), keywords(), timeout()) -> py_result:result().
do_eval(Where, Code, Locals, Timeout) ->
    run(Where, eval, [text(Code), binary_keys(Locals)], true, Timeout).

%% @doc Runs statements. What they define, later calls of the same process see.
-spec exec(code()) -> ok | {error, py_result:failure()}.
exec(Code) ->
    do_exec(any, Code).

-spec exec(context(), code()) -> ok | {error, py_result:failure()}.
exec(Context, Code) when is_pid(Context) ->
    do_exec({context, Context}, Code).

-spec do_exec(where(), code()) -> ok | {error, py_result:failure()}.
do_exec(Where, Code) ->
    case run(Where, exec, [text(Code)], true, ?TIMEOUT) of
        {ok, _} -> ok;
        {error, Reason} -> {error, Reason}
    end.

%% @doc Python's version, e.g. `<<"3.11.2">>'.
-spec version() -> {ok, binary()} | {error, py_result:failure()}.
version() ->
    %% The one call that has no namespace.
    payload(any, none, {version, []}, false, ?TIMEOUT).

%% @doc Starts the contexts that were stopped, or that the application has not finished starting, and waits for them.
-spec start_contexts() -> {ok, [context()]} | {error, py_result:failure()}.
start_contexts() ->
    contexts(py_contexts:start(default, ?TIMEOUT)).

%% @doc The same with a number for each host, as an integer or `#{contexts => N}'.
-spec start_contexts(pos_integer() | #{contexts => pos_integer(), term() => term()}) ->
    {ok, [context()]} | {error, py_result:failure()}.
start_contexts(#{contexts := Count}) ->
    start_contexts(Count);
start_contexts(#{}) ->
    start_contexts();
start_contexts(Count) when is_integer(Count), Count > 0 ->
    contexts(py_contexts:start(Count, ?TIMEOUT)).

%% @doc Ends all contexts, and the calls they are at.
-spec stop_contexts() -> ok.
stop_contexts() ->
    py_contexts:stop().

-spec contexts_started() -> boolean().
contexts_started() ->
    py_contexts:running().

%% @doc The context that goes with the scheduler the caller runs on.
-spec context() -> context().
context() ->
    context(erlang:system_info(scheduler_id)).

%% @doc The context of that number, counted round and round from 1.
-spec context(pos_integer()) -> context().
context(Number) when is_integer(Number), Number > 0 ->
    case contexts(py_contexts:list(one, ?TIMEOUT)) of
        {ok, Contexts} -> lists:nth((Number - 1) rem length(Contexts) + 1, Contexts);
        {error, Reason} -> error(Reason)
    end.

%% @doc What there is now: `handlers', the pids that serve Python threads, idle ones included; the numbers of registered `functions',
%% of `contexts', `contexts_idle' and `calls_waiting' for one, and of `hosts' that are up.
-spec stats() -> {ok, #{atom() => [pid()] | non_neg_integer()}}.
stats() ->
    Stats = py_contexts:stats(),
    {ok, Stats#{handlers => py_coordinator:threads(), functions => py_registry:count()}}.

%% Inside

-type where() :: any | {context, context()}.

%% Inside a registered function the waiting thread is the one that is called, unless another context is asked for.
-spec run(where(), call | eval | exec, [term()], boolean(), timeout()) -> py_result:result().
run(Where, Target, Args, Keep, Timeout) ->
    Space =
        case py_conversation:inside() of
            {true, Its} -> Its;
            false -> self()
        end,
    payload(Where, Space, {Target, [Space | Args]}, Keep, Timeout).

-spec payload(where(), py_conversation:space(), {atom(), [term()]}, boolean(), timeout()) -> py_result:result().
payload(Where, Space, Call, Keep, Timeout) ->
    case py_term:encode(Call, py_settings:get(max_frame)) of
        {ok, Payload} ->
            Policy = case py_settings:get(create_atoms) of true -> create; false -> safe end,
            py_result:result(perform(Where, Space, Payload, Keep, Timeout), Policy);
        {error, Limit} ->
            py_result:limit(Limit)
    end.

-spec perform(where(), py_conversation:space(), binary(), boolean(), timeout()) -> py_conversation:outcome().
perform(Where, Space, Payload, Keep, Timeout) ->
    case py_conversation:inside() of
        {true, _} when Where =:= any; Where =:= {context, self()} -> py_conversation:nested(Payload, Timeout);
        _ -> py_contexts:run(Where, Space, Keep, Payload, Timeout)
    end.

-spec contexts({ok, [context()]} | timeout | {down, term()}) -> {ok, [context()]} | {error, py_result:failure()}.
contexts({ok, Contexts}) -> {ok, Contexts};
contexts(timeout) -> {error, timeout};
contexts({down, Reason}) -> {error, {host_down, Reason}}.

-spec binary_keys(keywords()) -> #{binary() => term()}.
binary_keys(Keywords) when is_list(Keywords) ->
    binary_keys(maps:from_list(Keywords));
binary_keys(Keywords) ->
    maps:from_list([{py_registry:name(Key), Value} || {Key, Value} <- maps:to_list(Keywords)]).

-spec text(code()) -> binary().
text(Code) ->
    case unicode:characters_to_binary(Code) of
        Text when is_binary(Text) -> Text;
        _ -> error(badarg, [Code])
    end.

%% Without the application there is no table, which `badarg' alone would not tell.
-spec started(fun(() -> ok)) -> ok.
started(Change) ->
    case ets:whereis(py_registry) of
        undefined -> error({not_started, erlang_python});
        _ -> Change()
    end.
