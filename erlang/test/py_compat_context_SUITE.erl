%% Programs as a user of erlang_python 4.x has them: contexts, the modules py_context and py_context_router, interrupts.
-module(py_compat_context_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        started_and_stopped, context_first, options, keyword_called_timeout, namespace_of_process, namespace_of_context,
        namespace_ends_with_context, function_calls_its_own_context, levels_in_one_context,
        router, bound_process, bound_context_ends, same_context_each_time,
        interrupted_again_and_again, interrupt, interrupt_caught, interrupt_during_callback
    ].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 2}]),
    {ok, [_, _]} = py:start_contexts(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

%% Contexts

started_and_stopped(_) ->
    true = py:contexts_started(),
    ok = py:stop_contexts(),
    false = py:contexts_started(),
    {ok, Contexts} = py:start_contexts(#{contexts => 4}),
    Contexts = [py:context(N) || N <- [1, 2, 3, 4]],
    4 = length(lists:usort(Contexts)),
    {ok, Contexts} = py:start_contexts(#{contexts => 4, mode => worker}),
    true = lists:member(py:context(), Contexts),
    ok = py:stop_contexts().

context_first(_) ->
    Ctx = py:context(1),
    {ok, 5.0} = py:call(Ctx, math, sqrt, [25]),
    {ok, 6} = py:eval(Ctx, <<"2 + 4">>),
    {ok, 15} = py:eval(Ctx, <<"x * 3">>, #{x => 5}),
    ok = py:exec(Ctx, <<"counter = 0\ndef bump(by): return counter + by\n">>),
    ok = py:exec(Ctx, <<"counter += 1">>),
    {ok, 1} = py:eval(Ctx, <<"counter">>, #{}),
    {ok, 3} = py:call(Ctx, '__main__', bump, [2]),
    {ok, Thread} = py:call(Ctx, threading, get_ident, []),
    {ok, Thread} = py:eval(Ctx, <<"__import__('threading').get_ident()">>).

options(_) ->
    Ctx = py:context(1),
    {ok, <<"[\n 1\n]">>} = py:call(Ctx, json, dumps, [[1]], #{kwargs => #{indent => 1}}),
    {ok, 255} = py:call(Ctx, builtins, int, [<<"ff">>], #{kwargs => #{base => 16}, timeout => 5000}),
    {ok, 255} = py:call(Ctx, builtins, int, [<<"ff">>], #{kwargs => #{<<"base">> => 16}, timeout => infinity}),
    {error, timeout} = py:call(Ctx, builtins, sum, [[]], #{kwargs => #{start => 0}, timeout => 0}),
    {error, timeout} = py:call(Ctx, time, sleep, [2], #{timeout => 20}),
    %% Plain keywords, as without a context.
    {ok, 255} = py:call(Ctx, builtins, int, [<<"ff">>], #{base => 16}),
    {ok, 4.0} = py:call(Ctx, math, sqrt, [16], #{}).

keyword_called_timeout(_) ->
    Ctx = py:context(1),
    ok = py:exec(<<"def f(**kwargs): return kwargs">>),
    {ok, #{<<"timeout">> := 5}} = py:call(Ctx, '__main__', f, [], [{timeout, 5}]),
    {ok, #{<<"timeout">> := 0.5}} = py:call(Ctx, '__main__', f, [], #{timeout => 0.5}),
    {ok, #{<<"timeout">> := 5, <<"a">> := 1}} = py:call(Ctx, '__main__', f, [], #{timeout => 5, a => 1}),
    {ok, #{<<"kwargs">> := 5}} = py:call(Ctx, '__main__', f, [], #{kwargs => 5}),
    {ok, #{<<"timeout">> := 5}} = py:call('__main__', f, [], #{timeout => 5}).

%% Each process has its own names, in one context too; a server keeps its state there.
namespace_of_process(_) ->
    Ctx = py:context(1),
    Server = fun(Start) ->
        ok = py:exec(Ctx, <<"
class Counter:
    def __init__(self, value):
        self.value = value
    def up(self):
        self.value += 1
        return self.value
">>),
        ok = py:exec(Ctx, io_lib:format("counter = Counter(~b)", [Start])),
        [V || _ <- [1, 2, 3], {ok, V} <- [py:eval(Ctx, <<"counter.up()">>)]]
    end,
    [1, 2, 3] = Server(0),
    [101, 102, 103] = elsewhere(fun() -> Server(100) end),
    {error, {'NameError', _}} = elsewhere(fun() -> py:eval(Ctx, <<"counter">>) end),
    {ok, 4} = py:eval(Ctx, <<"counter.up()">>).

%% The names of a context are for all who call it through py_context; a model is loaded once.
namespace_of_context(_) ->
    [One, Two] = [py_context_router:get_context(N) || N <- [1, 2]],
    ok = py_context:exec(One, <<"model = 'one'\ndef predict(x, by=1): return (model, x * by)\n">>),
    ok = py_context:exec(Two, <<"model = 'two'">>),
    {ok, <<"one">>} = elsewhere(fun() -> py_context:eval(One, <<"model">>) end),
    {ok, <<"two">>} = elsewhere(fun() -> py_context:eval(Two, "model", #{}) end),
    {ok, {<<"one">>, 6}} = elsewhere(fun() -> py_context:call(One, '__main__', predict, [2], #{by => 3}) end),
    {ok, {<<"one">>, 2}} = py_context:call(One, '__main__', predict, [2]),
    {error, {'AttributeError', _}} = py_context:call(Two, '__main__', predict, [2], #{}, 5000),
    {ok, 5} = py_context:eval(One, <<"len(model) + x">>, #{x => 2}, 5000),
    {error, _} = py_context:exec(One, <<"if true">>),
    {error, {'NameError', _}} = py:eval(One, <<"model">>).

namespace_ends_with_context(_) ->
    [One, Two] = [py:context(N) || N <- [1, 2]],
    ok = py_context:exec(One, <<"x = 1">>),
    Spaces = <<"len(__import__('erlang._run', fromlist=['_spaces'])._spaces)">>,
    {ok, 1} = py_context:eval(Two, Spaces),
    exit(One, kill),
    eventually(fun() -> py_context:eval(Two, Spaces) =:= {ok, 0} end),
    {error, _} = py_context:eval(One, <<"x">>).

%% The context waits for the function, which asks it for more.
function_calls_its_own_context(_) ->
    Ctx = py:context(1),
    ok = py:register_function(ask, fun([X]) -> {ok, Y} = py:eval(Ctx, <<"x + 1">>, #{x => X}), Y end),
    {ok, 11} = py:eval(Ctx, <<"erlang.ask(10)">>, #{}),
    ok = py_context:exec(Ctx, <<"step = 5">>),
    ok = py:register_function(step, fun([X]) -> {ok, Y} = py_context:eval(Ctx, <<"x + step">>, #{x => X}), Y end),
    {ok, {15, Same}} = py_context:eval(Ctx, <<"(erlang.step(10), __import__('threading').get_ident())">>),
    {ok, Same} = py:call(Ctx, threading, get_ident, []).

levels_in_one_context(_) ->
    Ctx = py:context(1),
    ok = py:register_function(down, fun
        ([0]) -> <<"bottom">>;
        ([N]) -> {ok, Answer} = py_context:call(Ctx, erlang, call, [<<"down">>, N - 1]), Answer
    end),
    {ok, <<"bottom">>} = py_context:call(Ctx, erlang, call, [<<"down">>, 10]).

%% The router

router(_) ->
    ok = py_context_router:stop(),
    false = py_context_router:is_started(),
    0 = py_context_router:num_contexts(),
    {ok, Contexts} = py_context_router:start(#{contexts => 3}),
    true = py_context_router:is_started(),
    3 = py_context_router:num_contexts(),
    Contexts = py_context_router:contexts(),
    Contexts = [py_context_router:get_context(N) || N <- [1, 2, 3]],
    {ok, Contexts} = py_context_router:start(),
    {ok, 4.0} = py_context:call(py_context_router:get_context(), math, sqrt, [16], #{}).

bound_process(_) ->
    Threads = [begin {ok, Thread} = py:call(py:context(N), threading, get_ident, []), Thread end || N <- [1, 2]],
    [true, true, true] = [begin
        ok = py_context_router:bind_context(py:context(N)),
        true = py:context() =:= py:context(N) andalso py_context_router:get_context() =:= py:context(N),
        ok = py:exec(<<"import threading\nident = threading.get_ident()">>),
        {ok, Thread} = py:eval(<<"ident">>),
        {ok, Thread} = py:call(threading, get_ident, []),
        {ok, Thread} = py:eval(<<"threading.get_ident()">>),
        Thread =:= lists:nth(N, Threads)
    end || N <- [1, 2, 1]],
    %% The bound context is busy, and the call waits for it. Free of it, it goes to the other.
    Release = occupy(py:context(1)),
    {error, timeout} = py:eval(<<"1">>, #{}, 20),
    ok = py_context_router:unbind_context(),
    {ok, Other} = py:call(threading, get_ident, []),
    true = Other =:= lists:nth(2, Threads),
    Release(),
    ok = py_context_router:unbind_context().

bound_context_ends(_) ->
    Ctx = py:context(1),
    ok = py_context_router:bind_context(Ctx),
    Monitor = monitor(process, Ctx),
    exit(Ctx, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    {ok, 2} = py:eval(<<"1 + 1">>),
    true = py:context() =/= Ctx.

%% Wherever the scheduler has the process run. More contexts make no difference.
same_context_each_time(_) ->
    Ctx = py:context(),
    {ok, [_, _, _, _, _]} = py:start_contexts(#{contexts => 5}),
    %% Each scheduler in turn runs this process.
    Seen = [begin _ = process_flag(scheduler, N), py:context() end || N <- lists:seq(1, erlang:system_info(schedulers_online))],
    _ = process_flag(scheduler, 0),
    [Ctx] = lists:usort(Seen).

%% Interrupts

interrupted_again_and_again(_) ->
    Ctx = py:context(1),
    not_running = py_context:interrupt(Ctx),
    {ok, 1} = py_context:eval(Ctx, <<"1">>, #{}, 5000),
    {error, timeout} = py_context:eval(Ctx, <<"sum(1 for _ in iter(int, 1))">>, #{}, 50),
    [{ok, 2} = begin
        {error, timeout} = py_context:eval(Ctx, <<"sum(1 for _ in iter(int, 1))">>, #{}, 5),
        py_context:eval(Ctx, <<"1 + 1">>, #{}, 5000)
    end || _ <- lists:seq(1, 20)],
    {messages, []} = process_info(self(), messages).

interrupt(_) ->
    Ctx = py:context(1),
    {Runner, Release} = busy(Ctx, <<"
erlang.begun()
while True:
    pass
">>),
    ok = py:interrupt(Ctx),
    {error, interrupted} = Release(Runner),
    not_running = py:interrupt(Ctx),
    {ok, 4} = py_context:eval(Ctx, <<"2 + 2">>, #{}, 5000).

%% `except Exception' does not see it, `except KeyboardInterrupt' does.
interrupt_caught(_) ->
    Ctx = py:context(1),
    Me = self(),
    ok = py:register_function(note, fun([What]) -> Me ! {note, What}, none end),
    {Runner, Release} = busy(Ctx, <<"
try:
    erlang.begun()
    while True:
        try:
            pass
        except Exception:
            erlang.note('swallowed')
except KeyboardInterrupt:
    erlang.note('released')
    raise
">>),
    ok = py:interrupt(Ctx),
    {error, interrupted} = Release(Runner),
    receive {note, What} -> <<"released">> = What end.

interrupt_during_callback(_) ->
    Ctx = py:context(1),
    ok = py:register_function(echo, fun([X]) -> X end),
    ok = py:exec(Ctx, <<"
def spin():
    n = 0
    while True:
        n = erlang.call('echo', n) + 1
">>),
    {error, timeout} = py:call(Ctx, '__main__', spin, [], #{timeout => 100}),
    {ok, 4} = py:eval(Ctx, <<"2 + 2">>).

%% Helpers

elsewhere(Fun) ->
    Me = self(),
    Pid = spawn_link(fun() -> Me ! {self(), Fun()} end),
    receive {Pid, Result} -> Result end.

%% Has a context run that code, which tells when it has begun, and gives what waits for its end.
busy(Ctx, Code) ->
    Me = self(),
    ok = py:register_function(begun, fun([]) -> Me ! begun, none end),
    Runner = spawn_link(fun() -> Me ! {self(), py_context:exec(Ctx, Code)} end),
    receive begun -> ok end,
    {Runner, fun(Pid) -> receive {Pid, Result} -> Result end end}.

%% A context that waits for a function until told to go on.
occupy(Ctx) ->
    Me = self(),
    ok = py:register_function(wait, fun([]) -> Me ! {waits, self()}, receive go -> none end end),
    Runner = spawn_link(fun() -> Me ! {self(), py_context:eval(Ctx, <<"erlang.wait()">>)} end),
    Function = receive {waits, Pid} -> Pid end,
    fun() -> Function ! go, receive {Runner, {ok, none}} -> ok end end.

eventually(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(5), eventually(Condition)
    end.
