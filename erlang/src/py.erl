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
-export([cast/3, cast/4, cast/5, spawn_call/3, spawn_call/4, spawn_call/5, await/1, await/2]).
-export([stream/3, stream/4, stream_eval/1, stream_eval/2, stream_start/3, stream_start/4, stream_cancel/1]).
%% Contexts
-export([start_contexts/0, start_contexts/1, stop_contexts/0, contexts_started/0, context/0, context/1, interrupt/1]).
%% The table that both sides share
-export([state_fetch/1, state_store/2, state_remove/1, state_keys/0, state_clear/0]).
-export([state_incr/1, state_incr/2, state_decr/1, state_decr/2]).
%% Insight
-export([stats/0, gc/0, gc/1, memory_stats/0, tracemalloc_start/0, tracemalloc_start/1, tracemalloc_stop/0]).
-export([configure_logging/0, configure_logging/1]).

-export_type([name/0, code/0, keywords/0, options/0, context/0]).

-type name() :: atom() | binary() | string().
-type code() :: unicode:chardata().
-type keywords() :: #{name() => term()} | [{name(), term()}].
-type options() :: #{kwargs => keywords(), timeout => timeout()}.
-type context() :: pid().

-define(TIMEOUT, 30000).

-define(IS_KEYWORDS(Value), (is_map(Value) orelse is_list(Value))).
-define(IS_TIMEOUT(Value), (Value =:= infinity orelse is_integer(Value) andalso Value >= 0)).

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

%% @doc Calls with a limit in ms. When it runs out `{error, timeout}' is returned, and the Python code interrupted.
%%
%% With a context first, a map that holds nothing but `kwargs', `timeout' or both is one of options, as in erlang_python. A function that has a
%% keyword argument of such a name gets it from a list, `[{timeout, 5}]'.
-spec call(name(), name(), [term()], keywords(), timeout()) -> py_result:result();
          (context(), name(), name(), [term()], keywords() | options()) -> py_result:result().
call(Context, Module, Function, Args, KeywordsOrOptions) when is_pid(Context) ->
    {Keywords, Timeout} = options(KeywordsOrOptions),
    call(Context, Module, Function, Args, Keywords, Timeout);
call(Module, Function, Args, Keywords, Timeout) ->
    perform(py_request:call(Module, Function, Args, Keywords), Timeout).

-spec call(context(), name(), name(), [term()], keywords(), timeout()) -> py_result:result().
call(Context, Module, Function, Args, Keywords, Timeout) when is_pid(Context) ->
    py_request:perform({context, Context}, py_request:call(Module, Function, Args, Keywords), Timeout).

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
    perform(py_request:eval(Code, Locals), Timeout).

-spec eval(context(), code(), keywords(), timeout()) -> py_result:result().
eval(Context, Code, Locals, Timeout) when is_pid(Context) ->
    py_request:perform({context, Context}, py_request:eval(Code, Locals), Timeout).

%% @doc Runs statements, for as long as they take. What they define, later calls of the same process see.
-spec exec(code()) -> ok | {error, py_result:failure()}.
exec(Code) ->
    done(perform(py_request:exec(Code), infinity)).

-spec exec(context(), code()) -> ok | {error, py_result:failure()}.
exec(Context, Code) when is_pid(Context) ->
    done(py_request:perform({context, Context}, py_request:exec(Code), infinity)).

-spec done(py_result:result()) -> ok | {error, py_result:failure()}.
done({ok, _}) -> ok;
done({error, Reason}) -> {error, Reason}.

%% @doc Python's version, e.g. `<<"3.11.2">>'.
-spec version() -> {ok, binary()} | {error, py_result:failure()}.
version() ->
    py_request:perform(any, py_request:plain(version, []), ?TIMEOUT).

%% @doc Calls without waiting for the end. A failure is logged.
-spec cast(name(), name(), [term()]) -> ok.
cast(Module, Function, Args) ->
    cast(Module, Function, Args, #{}).

%% @doc Casts with keyword arguments; or, with a context first, as {@link cast/3}.
-spec cast(name(), name(), [term()], keywords()) -> ok;
          (context(), name(), name(), [term()]) -> ok.
cast(Context, Module, Function, Args) when is_pid(Context) ->
    cast(Context, Module, Function, Args, #{});
cast(Module, Function, Args, Keywords) ->
    py_task:cast(any, py_request:call(Module, Function, Args, Keywords)).

-spec cast(context(), name(), name(), [term()], keywords()) -> ok.
cast(Context, Module, Function, Args, Keywords) when is_pid(Context) ->
    py_task:cast({context, Context}, py_request:call(Module, Function, Args, Keywords)).

%% @doc Calls, and gives a reference to {@link await/2} the result with, in the same process. Nothing limits the time that it takes.
-spec spawn_call(name(), name(), [term()]) -> reference().
spawn_call(Module, Function, Args) ->
    spawn_call(Module, Function, Args, #{}).

-spec spawn_call(name(), name(), [term()], keywords()) -> reference();
                (context(), name(), name(), [term()]) -> reference().
spawn_call(Context, Module, Function, Args) when is_pid(Context) ->
    spawn_call(Context, Module, Function, Args, #{});
spawn_call(Module, Function, Args, Keywords) ->
    py_task:start(any, py_request:call(Module, Function, Args, Keywords)).

-spec spawn_call(context(), name(), name(), [term()], keywords()) -> reference().
spawn_call(Context, Module, Function, Args, Keywords) when is_pid(Context) ->
    py_task:start({context, Context}, py_request:call(Module, Function, Args, Keywords)).

%% @doc The result of {@link spawn_call/3}, for which it waits up to 30 seconds.
-spec await(reference()) -> py_result:result().
await(Ref) ->
    await(Ref, ?TIMEOUT).

%% @doc Waits up to that many ms. After `{error, timeout}' the call goes on, and can be awaited again.
-spec await(reference(), timeout()) -> py_result:result().
await(Ref, Timeout) ->
    py_task:await(Ref, Timeout).

%% @doc All items of the iterable that `Module.Function(*Args)' gives, a generator for example.
-spec stream(name(), name(), [term()]) -> {ok, [term()]} | {error, py_result:failure()}.
stream(Module, Function, Args) ->
    stream(Module, Function, Args, #{}).

-spec stream(name(), name(), [term()], keywords()) -> {ok, [term()]} | {error, py_result:failure()}.
stream(Module, Function, Args, Keywords) ->
    py_iteration:collect(fun(Ref) -> py_request:stream(Ref, Module, Function, Args, Keywords) end).

%% @doc All items of the iterable that an expression gives.
-spec stream_eval(code()) -> {ok, [term()]} | {error, py_result:failure()}.
stream_eval(Code) ->
    stream_eval(Code, #{}).

-spec stream_eval(code(), keywords()) -> {ok, [term()]} | {error, py_result:failure()}.
stream_eval(Code, Locals) ->
    py_iteration:collect(fun(Ref) -> py_request:stream_eval(Ref, Code, Locals) end).

%% @doc Has the items sent one by one, as Python makes them: `{py_stream, Ref, {data, Item}}', and in the end `{py_stream, Ref, done}' or
%% `{py_stream, Ref, {error, Reason}}'.
-spec stream_start(name(), name(), [term()]) -> {ok, reference()}.
stream_start(Module, Function, Args) ->
    stream_start(Module, Function, Args, #{}).

%% @doc The same with options: `owner', the process that gets them instead of the caller, and `kwargs', keyword arguments. When the owner ends, so
%% does the iteration.
-spec stream_start(name(), name(), [term()], #{owner => pid(), kwargs => keywords()}) -> {ok, reference()}.
stream_start(Module, Function, Args, Options) ->
    Keywords = maps:get(kwargs, Options, #{}),
    py_iteration:start(fun(Ref) -> py_request:stream(Ref, Module, Function, Args, Keywords) end, Options).

%% @doc Ends a stream before its next item; then comes `{py_stream, Ref, {error, cancelled}}'.
-spec stream_cancel(reference()) -> ok.
stream_cancel(Ref) when is_reference(Ref) ->
    ok = py_request:started(),
    _ = py_stream:close(Ref),
    ok.

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

%% @doc The calling process's context: the same each time, as long as there is that one. See {@link py_context_router:bind_context/1}.
-spec context() -> context().
context() ->
    py_context_router:get_context().

%% @doc The context of that number, counted round and round from 1.
-spec context(pos_integer()) -> context().
context(Number) when is_integer(Number), Number > 0 ->
    case contexts(py_contexts:list(one, ?TIMEOUT)) of
        {ok, Contexts} -> lists:nth((Number - 1) rem length(Contexts) + 1, Contexts);
        {error, Reason} -> error(Reason)
    end.

%% @doc Interrupts the Python code that a context is at: `erlang.Interrupted' is raised there, and who has called it gets `{error, interrupted}'.
-spec interrupt(context()) -> ok | not_running.
interrupt(Context) when is_pid(Context) ->
    case py_contexts:interrupt(Context) of
        true -> ok;
        false -> not_running
    end.

%% @doc What a key of the shared table stands for; Python's `erlang.state_get'.
-spec state_fetch(term()) -> {ok, term()} | {error, not_found}.
state_fetch(Key) ->
    started(fun() -> py_state:fetch(Key) end).

-spec state_store(term(), term()) -> ok | {error, py_state:full()}.
state_store(Key, Value) ->
    started(fun() -> py_state:store(Key, Value) end).

-spec state_remove(term()) -> ok.
state_remove(Key) ->
    started(fun() -> py_state:remove(Key) end).

-spec state_keys() -> [term()].
state_keys() ->
    started(fun() -> py_state:keys() end).

-spec state_clear() -> ok.
state_clear() ->
    started(fun() -> py_state:clear() end).

%% @doc Adds 1, and gives the new value; an absent key counts as 0. A new key in a full table raises
%% `error:{max_state_entries, Max}'.
-spec state_incr(term()) -> integer().
state_incr(Key) ->
    started(fun() -> py_state:incr(Key) end).

-spec state_incr(term(), integer()) -> integer().
state_incr(Key, N) ->
    started(fun() -> py_state:incr(Key, N) end).

-spec state_decr(term()) -> integer().
state_decr(Key) ->
    started(fun() -> py_state:decr(Key) end).

-spec state_decr(term(), integer()) -> integer().
state_decr(Key, N) ->
    started(fun() -> py_state:decr(Key, N) end).

%% @doc Has Python collect its garbage, in every host. Gives the number of objects collected.
-spec gc() -> {ok, non_neg_integer()} | {error, py_result:failure()}.
gc() ->
    gc(2).

%% @doc The same for the objects of a generation and of those below it.
-spec gc(py_memory:generation()) -> {ok, non_neg_integer()} | {error, py_result:failure()}.
gc(Generation) when Generation >= 0, Generation =< 2 ->
    py_memory:gc(Generation, ?TIMEOUT).

%% @doc Figures of Python's memory: `gc_stats', `gc_count', `gc_threshold', and while tracemalloc runs `traced_memory_current' and
%% `traced_memory_peak'. With several hosts, those of one of them.
-spec memory_stats() -> {ok, #{atom() | binary() => term()}} | {error, py_result:failure()}.
memory_stats() ->
    py_memory:stats(?TIMEOUT).

%% @doc Has Python trace what memory it allocates; {@link memory_stats/0} tells.
-spec tracemalloc_start() -> ok | {error, py_result:failure()}.
tracemalloc_start() ->
    tracemalloc_start(1).

%% @doc The same with that many frames of each traceback.
-spec tracemalloc_start(pos_integer()) -> ok | {error, py_result:failure()}.
tracemalloc_start(Frames) when is_integer(Frames), Frames > 0 ->
    py_memory:trace(Frames, ?TIMEOUT).

-spec tracemalloc_stop() -> ok | {error, py_result:failure()}.
tracemalloc_stop() ->
    py_memory:no_trace(?TIMEOUT).

%% @doc Python's `logging' goes to Erlang's `logger'.
-spec configure_logging() -> ok | {error, py_result:failure()}.
configure_logging() ->
    configure_logging(#{}).

%% @doc From that `level' on, which is `debug' unless given, and in that `format', one of Python's such as `"%(name)s: %(message)s"'. The hosts
%% that run are told, and those that start later. Metadata of the messages: `python_logger', `python_thread'.
-spec configure_logging(py_logging:options()) -> ok | {error, py_result:failure()}.
configure_logging(Options) ->
    ok = py_request:started(),
    py_logging:configure(Options).

%% @doc What there is now: `handlers', the pids that serve Python threads, idle ones included; the numbers of registered `functions',
%% of `contexts', `contexts_idle' and `calls_waiting' for one, and of `hosts' that are up.
-spec stats() -> {ok, #{atom() => [pid()] | non_neg_integer()}}.
stats() ->
    Stats = py_contexts:stats(),
    %% The listener is started again together with the contexts.
    Handlers = try py_coordinator:threads() catch exit:_ -> ok = py_request:started(), [] end,
    started(fun() -> {ok, Stats#{handlers => Handlers, functions => py_registry:count()}} end).

%% Inside

%% Where the calling process's calls go.
-spec perform(py_request:request(), timeout()) -> py_result:result().
perform(Request, Timeout) ->
    py_request:perform(py_context_router:where(), Request, Timeout).

-spec options(keywords() | options()) -> {keywords(), timeout()}.
options(#{kwargs := Keywords, timeout := Timeout} = Map) when map_size(Map) =:= 2, ?IS_KEYWORDS(Keywords), ?IS_TIMEOUT(Timeout) ->
    {Keywords, Timeout};
options(#{kwargs := Keywords} = Map) when map_size(Map) =:= 1, ?IS_KEYWORDS(Keywords) ->
    {Keywords, ?TIMEOUT};
options(#{timeout := Timeout} = Map) when map_size(Map) =:= 1, ?IS_TIMEOUT(Timeout) ->
    {#{}, Timeout};
options(Keywords) ->
    {Keywords, ?TIMEOUT}.

-spec contexts({ok, [context()]} | timeout | {down, term()}) -> {ok, [context()]} | {error, py_result:failure()}.
contexts({ok, Contexts}) -> {ok, Contexts};
contexts(timeout) -> {error, timeout};
contexts({down, Reason}) -> {error, {host_down, Reason}}.

%% Without the application there are no tables and processes; `badarg' or `noproc' would not say so.
-spec started(fun(() -> T)) -> T.
started(Use) ->
    try
        Use()
    catch
        Class:Reason:Stack when Class =:= exit; Reason =:= badarg; Reason =:= badarith ->
            ok = py_request:started(),
            erlang:raise(Class, Reason, Stack)
    end.
