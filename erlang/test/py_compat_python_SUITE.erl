%% Programs as a user of erlang_python 4.x has them: what Python code does with the module erlang, from its threads, from asyncio, as an
%% import. Each case registers functions, runs code as it stands there, and looks at what came of it.
-module(py_compat_python_SUITE).

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        thread, executor, several_calls, many_threads, thread_errors, executor_errors, workers_are_reused, thread_calls_back,
        import_function, attribute, function_of_module, unregistered,
        gather, async_errors, async_payloads, async_beside_threads,
        send, send_from_coroutine, send_to_the_dead, send_elsewhere, pids, whereis, own_process, atoms,
        suspension, errors_are_exceptions
    ].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 2}]),
    ok = py:register_function(double_it, fun([X]) -> X * 2 end),
    ok = py:register_function(add_one, fun([X]) -> X + 1 end),
    ok = py:register_function(maybe_fail, fun([X]) when X rem 2 =:= 0 -> X; ([_]) -> error(odd_number) end),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

%% Threads

thread(_) ->
    [42] = result(<<"
import threading
import erlang

result = []
def worker():
    result.append(erlang.call('double_it', 21))

thread = threading.Thread(target=worker)
thread.start()
thread.join()
">>).

executor(_) ->
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18] = result(<<"
from concurrent.futures import ThreadPoolExecutor
import erlang

def call_erlang(x):
    return erlang.call('double_it', x)

with ThreadPoolExecutor(max_workers=4) as executor:
    result = list(executor.map(call_erlang, range(10)))
">>).

several_calls(_) ->
    [3, 5, 20] = result(<<"
import threading

result = []
def worker():
    x = erlang.call('add_one', 0)
    x = erlang.call('add_one', x)
    x = erlang.call('add_one', x)
    result.append(x)
    result.extend([erlang.add_one(4), erlang.call('double_it', erlang.call('double_it', 5))])

thread = threading.Thread(target=worker)
thread.start()
thread.join()
">>).

%% All at the same time, each with its own answers.
many_threads(_) ->
    Sums = result(<<"
import threading

start = threading.Barrier(16)
result = [None] * 16
def worker(i):
    start.wait()
    x = i
    for _ in range(100):
        x = erlang.call('add_one', x)
    result[i] = x

threads = [threading.Thread(target=worker, args=(i,)) for i in range(16)]
for t in threads:
    t.start()
for t in threads:
    t.join()
">>),
    Sums = lists:seq(100, 115).

thread_errors(_) ->
    [{<<"error">>, <<"error: odd_number">>}, {<<"ok">>, 42}, {<<"error">>, <<"Function 'not_there' not registered">>}] = result(<<"
import threading

result = []
def worker():
    for name, argument in [('maybe_fail', 41), ('maybe_fail', 42), ('not_there', 1)]:
        try:
            result.append(('ok', erlang.call(name, argument)))
        except RuntimeError as e:
            result.append(('error', str(e)))

thread = threading.Thread(target=worker)
thread.start()
thread.join()
">>).

executor_errors(_) ->
    [0, <<"odd">>, 2, <<"odd">>] = result(<<"
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(2) as executor:
    futures = [executor.submit(erlang.call, 'maybe_fail', x) for x in range(4)]
result = ['odd' if isinstance(f.exception(), RuntimeError) else f.result() for f in futures]
">>).

%% One process of the node's for each thread, for all of its calls, and for the next thread.
workers_are_reused(_) ->
    ok = py:register_function(get_id, fun([]) -> list_to_binary(pid_to_list(self())) end),
    {Calls, Workers, true} = result(<<"
import threading
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(max_workers=2) as executor:
    ids = list(executor.map(lambda _: (threading.get_ident(), erlang.call('get_id')), range(40)))
    alone = len(set(ids)) == len({thread for thread, _ in ids})
result = (len(ids), len({worker for _, worker in ids}), alone)
">>),
    {40, true} = {Calls, Workers =< 2}.

thread_calls_back(_) ->
    ok = py:register_function(square, fun([X]) -> {ok, Y} = py:eval(<<"x * x">>, #{x => X}), Y end),
    [1, 2, 5, 10, 17] = result(<<"
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(max_workers=2) as executor:
    result = list(executor.map(lambda x: erlang.call('square', x) + 1, range(5)))
">>).

%% Names

import_function(_) ->
    {42, 8} = result(<<"
from erlang import double_it, add_one as succ

result = double_it(21), succ(7)
">>).

attribute(_) ->
    {42, true, false, false} = result(<<"
result = erlang.double_it(21), hasattr(erlang, 'double_it'), hasattr(erlang, 'not_there'), hasattr(erlang, '_not_there')
">>).

function_of_module(_) ->
    ok = py:register_function(sum_up, lists, sum),
    ok = py:register_function(<<"turn_round">>, lists, reverse),
    {15, [3, 2, 1]} = result(<<"result = erlang.sum_up(1, 2, 3, 4, 5), erlang.call('turn_round', 1, 2, 3)">>).

unregistered(_) ->
    ok = py:unregister_function(double_it),
    ok = py:unregister_function(<<"never_was">>),
    {error, {'ImportError', _}} = py:exec(<<"from erlang import double_it">>),
    {error, {'AttributeError', _}} = py:eval(<<"erlang.double_it(1)">>),
    {error, {'NotRegistered', <<"Function 'double_it' not registered">>}} = py:eval(<<"erlang.call('double_it', 1)">>).

%% asyncio

gather(_) ->
    Doubled = result(<<"
import asyncio

async def main():
    first = await erlang.async_call('double_it', 0)
    rest = await asyncio.gather(*[erlang.async_call('double_it', i) for i in range(1, 50)])
    return [first, *rest]

result = asyncio.run(main())
">>),
    Doubled = lists:seq(0, 98, 2).

async_errors(_) ->
    [<<"error: odd_number">>, 4, none] = result(<<"
import asyncio

async def safe_call(x):
    try:
        return await erlang.async_call('maybe_fail', x)
    except RuntimeError as e:
        return str(e)

async def main():
    task = asyncio.create_task(erlang.async_call('maybe_fail', 4))
    gathered = await asyncio.gather(erlang.async_call('maybe_fail', 5), return_exceptions=True)
    return [await safe_call(5), await task, None if isinstance(gathered[0], RuntimeError) else gathered]

result = asyncio.run(main())
">>).

async_payloads(_) ->
    Blob = binary:copy(<<"0123456789abcdef">>, 4096),
    ok = py:register_function(blob, fun([_]) -> Blob end),
    [65536, 65536, 65536, 65536] = result(<<"
import asyncio

async def main():
    return await asyncio.gather(*[erlang.async_call('blob', i) for i in range(4)])

result = [len(blob) for blob in asyncio.run(main())]
">>).

%% The loop of one thread does not wait for the calls of others.
async_beside_threads(_) ->
    {[2, 4, 6], 9} = result(<<"
import asyncio

async def main():
    numbers = asyncio.gather(*[erlang.async_call('double_it', i) for i in (1, 2, 3)])
    blocking = asyncio.get_running_loop().run_in_executor(None, erlang.call, 'add_one', 8)
    return list(await numbers), await blocking

result = asyncio.run(main())
">>).

%% Messages

send(_) ->
    {none, none} = result(<<"result = erlang.send(pid, ('hello', 42, [1, 2], {'key': 'value'}, True, None)), erlang.send(pid, 'last')">>, #{pid => self()}),
    receive First -> {<<"hello">>, 42, [1, 2], #{<<"key">> := <<"value">>}, true, none} = First end,
    receive Last -> <<"last">> = Last end,
    ok = py:exec(<<"def tell(pid, messages):\n    for m in messages:\n        erlang.send(pid, m)\n    return len(messages)\n">>),
    {ok, 500} = py:call('__main__', tell, [self(), lists:seq(1, 500)]),
    [N = receive Message -> Message end || N <- lists:seq(1, 500)].

send_from_coroutine(_) ->
    [2, 4] = result(<<"
import asyncio

async def main():
    answers = []
    for i in (1, 2):
        erlang.send(pid, ('now', i))
        answers.append(await erlang.async_call('double_it', i))
    return answers

result = asyncio.run(main())
">>, #{pid => self()}),
    [N = receive {<<"now">>, I} -> I end || N <- [1, 2]].

send_to_the_dead(_) ->
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    <<"dead">> = result(<<"
try:
    erlang.send(pid, 'hello')
    result = 'sent'
except erlang.ProcessError:
    result = 'dead'
">>, #{pid => Pid}),
    {error, {'ProcessError', _}} = py:call(erlang, send, [Pid, hello]).

send_elsewhere(_) ->
    {error, {'TypeError', _}} = py:eval(<<"erlang.send(42, 'hello')">>),
    {error, {'TypeError', _}} = py:eval(<<"erlang.send(None, 'hello')">>),
    {error, {'TypeError', _}} = py:eval(<<"erlang.send(pid, {1, 2})">>, #{pid => self()}).

pids(_) ->
    {Other, Monitor} = spawn_monitor(fun() -> receive stop -> ok end end),
    Me = self(),
    {Me, [Me, #{<<"other">> := Other}], <<"Pid">>, true, true, false, 2} = result(<<"
result = (
    pid, [pid, {'other': other}], type(pid).__name__, isinstance(pid, erlang.Pid), pid == same and hash(pid) == hash(same),
    pid == other, len({pid, same, other}),
)
">>, #{pid => Me, same => Me, other => Other}),
    Other ! stop,
    receive {'DOWN', Monitor, _, _, _} -> ok end.

whereis(_) ->
    Me = self(),
    true = register(compat_process, Me),
    {Me, Me, Me, Me, none} = result(<<"
result = (
    erlang.whereis('compat_process'), erlang.whereis(b'compat_process'), erlang.whereis(erlang._atom('compat_process')),
    erlang.whereis(erlang.atom('compat_process')), erlang.whereis('no_process_of_this_name'),
)
erlang.send(erlang.whereis('compat_process'), 'found')
">>),
    receive Message -> <<"found">> = Message end,
    {error, {'TypeError', _}} = py:eval(<<"erlang.whereis(123)">>).

own_process(_) ->
    ok = py:register_function(which, fun([]) -> self() end),
    {true, Handler, Handler} = result(<<"
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(1) as executor:
    result = executor.submit(lambda: (isinstance(erlang.self(), erlang.Pid), erlang.self(), erlang.which())).result()
">>),
    true = is_pid(Handler).

atoms(_) ->
    {ok, [ok, error, <<"ok">>]} = py:eval(<<"[erlang.atom('ok'), erlang._atom('error'), 'ok']">>),
    {true, true} = result(<<"result = erlang.atom('ok') == erlang._atom('ok'), isinstance(erlang.atom('ok'), erlang.Atom)">>).

%% Exceptions

%% Frameworks that catch all exceptions do not catch this one; and erlang.call inside them just answers.
suspension(_) ->
    {true, false, 42, <<"through">>} = result(<<"
def middleware(function):
    try:
        return function()
    except Exception:
        return 'swallowed'

def suspended():
    raise erlang.SuspensionRequired()

try:
    middleware(suspended)
    passed = 'not raised'
except erlang.SuspensionRequired:
    passed = 'through'

result = (
    issubclass(erlang.SuspensionRequired, BaseException), issubclass(erlang.SuspensionRequired, Exception),
    middleware(lambda: erlang.call('double_it', 21)), passed,
)
">>).

errors_are_exceptions(_) ->
    {true, <<"caught">>, <<"caught">>} = result(<<"
def outcome(name):
    try:
        erlang.call(name, 1)
        return 'nothing raised'
    except Exception:
        return 'caught'

result = issubclass(erlang.ProcessError, Exception), outcome('maybe_fail'), outcome('not_there')
">>).

%% Helpers

result(Code) ->
    result(Code, #{}).

%% Runs a program whose globals are those and which leaves `result' behind.
result(Code, Names) ->
    ok = py:exec(<<"def set_names(names): globals().update(names)">>),
    {ok, none} = py:call('__main__', set_names, [Names]),
    ok = py:exec(Code),
    {ok, Result} = py:eval(<<"result">>),
    Result.
