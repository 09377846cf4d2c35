%% The description of threads, run as it is written: its Erlang block as in a shell, its Python blocks in a host of the node.
-module(py_threading_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> [register_block, python_blocks, many_threads, executor, reuse, lazy, waiting_thread_lets_others_run].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 1}]),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

register_block(Config) ->
    Block = filename:join(proplists:get_value(data_dir, Config), "register.txt"),
    {ok, ok} = file:script(Block),
    {ok, [<<"add_one">>, <<"double_it">>]} = py:eval("sorted(n for n in ('add_one', 'double_it', 'other') if hasattr(__import__('erlang'), n))"),
    {ok, [0, 2, 4]} = py:eval("[__import__('erlang').call('double_it', n) for n in range(3)]").

%% What threads print goes to the host's standard output, so it is caught there.
python_blocks(_) ->
    py_peer:register(),
    Files = filelib:wildcard(filename:join([py_unit_SUITE:root(), "testdata", "threading", "*.py"])),
    ?assert(length(Files) >= 4),
    lists:foreach(fun(File) ->
        {ok, Code} = file:read_file(File),
        ok = py:exec("import builtins, threading\n"
                     "raised = []\nthreading.excepthook = lambda args: raised.append(repr(args.exc_value))\n"
                     "printed = []\ndef print(*args): printed.append(args)\n"
                     "arg1, arg2 = 1, 2\n"),
        ?assertEqual({File, ok}, {File, py:exec(Code)}),
        ?assertEqual({File, {ok, []}}, {File, py:eval("raised")}),
        check(filename:basename(File))
    end, Files).

check("executor.py") -> {ok, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]} = py:eval("results");
check("thread.py") -> {ok, [{<<"Got: (1, 2)">>}]} = py:eval("printed");
check("error.py") -> {ok, [{<<"Erlang error: error: <<\"maybe_fail: 42\">>">>}]} = py:eval("printed");
check(_) -> ok.

%% 64 threads at once, each with calls and answers of its own.
many_threads(_) ->
    py_peer:register(),
    ok = py:exec(
        "import threading, erlang\n"
        "barrier = threading.Barrier(64)\n"
        "wrong, handlers = [], set()\n"
        "def worker(n):\n"
        "    barrier.wait()\n"
        "    for i in range(100):\n"
        "        if erlang.call('echo', (n, i)) != (n, i): wrong.append((n, i))\n"
        "    handlers.add(erlang.call('whoami'))\n"
        "    barrier.wait()\n"
        "threads = [threading.Thread(target=worker, args=(n,)) for n in range(64)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"),
    {ok, []} = py:eval("wrong"),
    {ok, Handlers} = py:eval("list(handlers)"),
    ?assertEqual(64, length(lists:usort(Handlers))),
    {ok, #{handlers := Known}} = py:stats(),
    ?assertEqual(lists:sort(Known), lists:sort(Handlers)).

executor(_) ->
    py_peer:register(),
    ok = py:exec(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import erlang\n"
        "def five(x):\n"
        "    for _ in range(5): x = erlang.call('sleep_random', 3, x + 1)\n"
        "    return x\n"
        "with ThreadPoolExecutor(max_workers=8) as executor:\n"
        "    results = list(executor.map(five, range(40)))\n"),
    {ok, Results} = py:eval("results"),
    ?assertEqual([N + 5 || N <- lists:seq(0, 39)], Results).

%% One thread after the other: one handler, which stays. (Python's join returns a moment before the
%% operating system's thread has ended, which is when its worker is released.)
reuse(_) ->
    py_peer:register(),
    ok = py:exec(
        "import os, threading, time, erlang\n"
        "handlers = set()\n"
        "for _ in range(200):\n"
        "    t = threading.Thread(target=lambda: handlers.add(erlang.call('whoami')))\n"
        "    t.start()\n"
        "    t.join()\n"
        "    while os.path.exists(f'/proc/self/task/{t.native_id}'): time.sleep(0)\n"),
    {ok, [Handler]} = py:eval("list(handlers)"),
    {ok, #{handlers := [Handler]}} = py:stats().

%% A thread that does not call has no handler.
lazy(_) ->
    ok = py:exec("import threading, erlang\nfor _ in range(10):\n    t = threading.Thread(target=lambda: None)\n    t.start()\n    t.join()\n"),
    {ok, #{handlers := []}} = py:stats().

%% The second thread's calls are answered while the first one's waits, and one of them ends that wait.
waiting_thread_lets_others_run(_) ->
    Gate = spawn_link(fun() -> receive {held, Handler} -> receive free -> Handler ! freed end end end),
    ok = py:register_function(hold, fun([]) -> Gate ! {held, self()}, receive freed -> freed end end),
    ok = py:register_function(free, fun([]) -> Gate ! free, ok end),
    ok = py:register_function(other, fun([]) -> 1 end),
    ok = py:exec(
        "import threading, erlang\n"
        "answers = []\n"
        "t = threading.Thread(target=lambda: answers.append(erlang.call('hold')))\n"
        "t.start()\n"
        "answers.append(sum(range(100000)))\n"
        "answers.append(erlang.call('other'))\n"
        "erlang.call('free')\n"
        "t.join()\n"),
    {ok, [4999950000, 1, <<"freed">>]} = py:eval("answers").
