%% The node calls Python: the whole way, with a real host. Needs priv/erlpy and a python3; without them these tests fail.
-module(py_call_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("kernel/include/file.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        call, keywords, eval, exec, names, version, types, bytes_and_text, large_binaries, big_integer,
        namespace_of_a_process, namespace_is_dropped, namespace_in_nested_call,
        exceptions, own_exception, syntax_error, exception_names_are_bounded, no_term, too_large,
        nested, nested_thread, nested_failure, error_in_function,
        contexts, start_and_stop, explicit_context, growth, limit_of_contexts, caller_dies_waiting, context_killed,
        timeout, timeout_while_waiting, host_killed, host_killed_in_mid_call, node_stops_host,
        missing_python, wrong_setting, long_socket_path, given_socket, stale_socket, socket_in_use, private_directory, environment
    ].

init_per_suite(Config) ->
    Host = filename:join(code:priv_dir(erlang_python), "erlpy"),
    filelib:is_regular(Host) orelse ct:fail("~ts is missing: run `make build`", [Host]),
    Config.

end_per_suite(_Config) -> ok.

init_per_testcase(Case, Config) ->
    case settings(Case) of
        none -> ok;
        Settings -> py_client:start_app([{hosts, 1}, {contexts, 2} | Settings]), py_peer:register()
    end,
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

settings(Case) when Case =:= wrong_setting; Case =:= long_socket_path; Case =:= given_socket; Case =:= stale_socket;
                    Case =:= socket_in_use; Case =:= private_directory -> none;
settings(limit_of_contexts) -> [{contexts, 1}, {max_contexts, 1}];
settings(timeout_while_waiting) -> [{contexts, 1}, {max_contexts, 1}];
settings(caller_dies_waiting) -> [{contexts, 1}, {max_contexts, 1}];
settings(too_large) -> [{max_frame, 65536}];
settings(missing_python) -> [{python, "/nowhere/python3"}];
settings(environment) -> [{env, [{"ERLPY_TEST", "žlutý"}]}, {cd, "/"}];
settings(_) -> [].

%% Calls

call(_) ->
    {ok, 4.0} = py:call(math, sqrt, [16]),
    {ok, 3} = py:call(builtins, len, [[1, 2, 3]]).

keywords(_) ->
    {ok, 255} = py:call(builtins, int, [<<"ff">>], #{base => 16}),
    {ok, 255} = py:call(builtins, int, [<<"ff">>], [{"base", 16}]),
    {ok, #{<<"a">> := 1}} = py:call(builtins, dict, [], #{a => 1}, 5000).

eval(_) ->
    {ok, 42} = py:eval("x * y", #{x => 6, y => 7}),
    {ok, 3} = py:eval(<<"1 + 2">>),
    {ok, <<"žlutý"/utf8>>} = py:eval("'žlutý'"),
    {ok, 1} = py:eval("1", #{}, infinity).

exec(_) ->
    ok = py:exec("def greet(name):\n    return 'Hello ' + name\n"),
    {ok, <<"Hello you">>} = py:call('__main__', greet, [<<"you">>]),
    ok = py:exec("counter = 1\n"),
    ok = py:exec("counter += 1\n"),
    {ok, 2} = py:eval("counter").

names(_) ->
    [{ok, 4.0} = py:call(Module, Function, [16]) || {Module, Function} <- [{math, sqrt}, {"math", "sqrt"}, {<<"math">>, <<"sqrt">>}]],
    ?assertError(badarg, py:call(1, sqrt, [16])).

version(_) ->
    {ok, Version} = py:version(),
    ?assertMatch([<<"3">>, _, _], binary:split(Version, <<".">>, [global])).

types(_) ->
    [?assertEqual({ok, Back}, py:eval("x", #{x => Value})) || {Value, Back} <- [
        {true, true}, {false, false}, {none, none}, {undefined, none}, {nil, none},
        {1, 1}, {-1, -1}, {1.5, 1.5}, {[], []}, {[1, [2]], [1, [2]]}, {{1, {}}, {1, {}}}, {#{1 => 2}, #{1 => 2}},
        {self(), self()}, {<<"x">>, <<"x">>}, {ok, <<"ok">>}
    ]].

bytes_and_text(_) ->
    {ok, <<255, 0>>} = py:eval("x", #{x => <<255, 0>>}),
    {ok, <<"bytes">>} = py:eval("type(x).__name__", #{x => {bytes, <<"abc">>}}),
    {ok, <<"str">>} = py:eval("type(x).__name__", #{x => <<"abc">>}).

large_binaries(_) ->
    [begin
        Large = binary:copy(<<255>>, Size),
        Term = [Large, {<<"x">>, Large}, #{<<"k">> => [Large, 1]}],
        {ok, Back} = py:eval("x", #{x => Term}),
        ?assert(Back =:= Term),
        {ok, Size} = py:eval("len(x)", #{x => Large})
     end || Size <- [16383, 16384, 300000, 10000000]].

big_integer(_) ->
    Big = py_peer:big([]),
    {ok, Back} = py:eval("x + 1", #{x => Big}),
    ?assert(Back =:= Big + 1).

%% Namespaces

namespace_of_a_process(_) ->
    ok = py:exec("mine = 1"),
    {ok, 1} = py:eval("mine"),
    {error, {'NameError', _}} = elsewhere(fun() -> py:eval("mine") end),
    {ok, 2} = elsewhere(fun() -> ok = py:exec("mine = 2"), py:eval("mine") end),
    {ok, 1} = py:eval("mine").

namespace_is_dropped(_) ->
    ok = py:exec("class Noted:\n    alive = 0\n    def __del__(self): type(self).alive -= 1\n"
                 "import builtins\nbuiltins.Noted = Noted\n"),
    {ok, 1} = elsewhere(fun() -> ok = py:exec("import builtins\nn = builtins.Noted()\nbuiltins.Noted.alive += 1"), py:eval("Noted.alive") end),
    eventually(fun() -> py:eval("__import__('gc').collect() * 0 + Noted.alive") =:= {ok, 0} end).

%% A function called from Python sees, by py:eval, what the process has defined for which that Python code runs.
namespace_in_nested_call(_) ->
    ok = py:register_function(mine, fun([]) -> {ok, X} = py:eval("mine"), X end),
    ok = py:exec("mine = 'yes'"),
    {ok, <<"yes">>} = py:eval("__import__('erlang').call('mine')").

%% Failures

exceptions(_) ->
    {error, {'ZeroDivisionError', <<"division by zero">>}} = py:eval("1/0"),
    {error, {'ModuleNotFoundError', _}} = py:call(no_such_module, f, []),
    {error, {'AttributeError', _}} = py:call(math, no_such_function, []),
    {error, {'TypeError', _}} = py:call(math, sqrt, [<<"x">>]),
    {error, {'ValueError', <<"žluť"/utf8>>}} = py:exec("raise ValueError('žluť')"),
    {ok, 1} = py:eval("1").

own_exception(_) ->
    ok = py:exec("class MyVeryOwnError(Exception): pass"),
    {error, {'MyVeryOwnError', <<"oops">>}} = py:exec("raise MyVeryOwnError('oops')").

syntax_error(_) ->
    {error, {'SyntaxError', _}} = py:eval("1 +"),
    {error, {'SyntaxError', _}} = py:exec("def").

exception_names_are_bounded(_) ->
    Before = erlang:system_info(atom_count),
    Names = [Name || N <- lists:seq(1, 1100),
                     {error, {Name, _}} <- [py:exec(io_lib:format("raise type('Made~b', (Exception,), {})()", [N]))]],
    ?assertEqual(1100, length(Names)),
    ?assertEqual("Made1000", atom_to_list(lists:nth(1000, Names))),
    ?assertEqual(['Exception'], lists:usort(lists:nthtail(1000, Names))),
    ?assert(erlang:system_info(atom_count) - Before < 1100).

no_term(_) ->
    {error, {'TypeError', Text}} = py:eval("{'a': {1, 2}}"),
    ?assertNotEqual(nomatch, binary:match(Text, <<"set">>)),
    {ok, 1} = py:eval("1").

too_large(_) ->
    {error, {'ValueError', Text}} = py:call(builtins, len, [binary:copy(<<"x">>, 70000)]),
    ?assertNotEqual(nomatch, binary:match(Text, <<"max_frame">>)),
    {error, {'ValueError', _}} = py:eval("'x' * 70000"),
    {ok, 1} = py:eval("1").

%% Nested calls

nested(_) ->
    ok = py:register_function(down, fun([0]) -> 0; ([N]) -> {ok, R} = py:call('__main__', step, [N - 1]), R + 1 end),
    ok = py:exec("import erlang\ndef step(n): return erlang.call('down', n)\n"),
    {ok, 20} = py:call('__main__', step, [20]).

nested_thread(_) ->
    Ident = "__import__('threading').get_ident()",
    ok = py:register_function(ident, fun([]) -> {ok, Id} = py:eval(Ident), Id end),
    {ok, {Same, Same}} = py:eval("(" ++ Ident ++ ", __import__('erlang').call('ident'))").

nested_failure(_) ->
    ok = py:register_function(failing, fun([]) -> py:eval("1/0") end),
    {ok, {<<"error">>, {<<"ZeroDivisionError">>, <<"division by zero">>}}} = py:eval("__import__('erlang').call('failing')").

error_in_function(_) ->
    ok = py:exec("import erlang\n"
                 "def attempt(name):\n"
                 "    try: erlang.call(name)\n"
                 "    except erlang.CallError as e: return (type(e).__name__, str(e), e.error_class)\n"),
    {ok, {<<"CallError">>, <<"error: badarith">>, <<"error">>}} = py:call('__main__', attempt, [fail_error]),
    {ok, {<<"CallError">>, <<"throw: ball">>, <<"throw">>}} = py:call('__main__', attempt, [fail_throw]),
    {error, {'CallError', <<"exit: bye">>}} = py:eval("__import__('erlang').call('fail_exit')").

%% Contexts

contexts(_) ->
    {ok, [A, B] = Contexts} = py:start_contexts(),
    true = py:contexts_started(),
    ?assertEqual([A, B, A], [py:context(N) || N <- [1, 2, 3]]),
    ?assert(lists:member(py:context(), Contexts)),
    {ok, #{contexts := 2, contexts_idle := 2, hosts := 1, handlers := []}} = py:stats().

start_and_stop(_) ->
    {ok, _} = py:start_contexts(),
    ok = py:stop_contexts(),
    eventually(fun() -> {ok, #{contexts := N}} = py:stats(), N =:= 0 end),
    false = py:contexts_started(),
    {error, {host_down, <<"contexts are stopped", _/binary>>}} = py:eval("1"),
    {ok, [_, _, _]} = py:start_contexts(3),
    {ok, 1} = py:eval("1"),
    {ok, [_, _, _, _]} = py:start_contexts(#{contexts => 4}).

explicit_context(_) ->
    {ok, [A, B]} = py:start_contexts(),
    Ident = "__import__('threading').get_ident()",
    {ok, IdA} = py:eval(A, Ident),
    {ok, IdB} = py:eval(B, Ident),
    ?assertNotEqual(IdA, IdB),
    {ok, IdA} = py:eval(A, Ident, #{}),
    {ok, 4.0} = py:call(A, math, sqrt, [16]),
    {ok, 255} = py:call(A, builtins, int, [<<"ff">>], #{base => 16}),
    ok = py:exec(A, "x = 1"),
    {ok, 1} = py:eval(B, "x"),
    {error, {host_down, no_such_context}} = py:eval(self(), "1").

growth(_) ->
    {ok, [_, _]} = py:start_contexts(),
    {Gates, Workers} = busy(5),
    {ok, #{contexts := 5}} = py:stats(),
    [Gate ! open || Gate <- Gates],
    [receive {Worker, {ok, 1}} -> ok end || Worker <- Workers].

%% Past the limit callers wait for their turn.
limit_of_contexts(_) ->
    {Release, Worker} = held(),
    Me = self(),
    spawn_link(fun() -> Me ! {queued, py:eval("2")} end),
    eventually(fun() -> {ok, #{calls_waiting := N}} = py:stats(), N =:= 1 end),
    Release(),
    receive {Worker, {ok, 1}} -> ok end,
    receive {queued, {ok, 2}} -> ok end,
    {ok, #{contexts := 1}} = py:stats().

%% What nobody waits for any more is not run.
caller_dies_waiting(_) ->
    {Release, Worker} = held(),
    ok = py:register_function(never, fun([]) -> ct:fail(run) end),
    {Pid, Monitor} = spawn_monitor(fun() -> py:eval("__import__('erlang').call('never')") end),
    eventually(fun() -> {ok, #{calls_waiting := N}} = py:stats(), N =:= 1 end),
    exit(Pid, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    eventually(fun() -> {ok, #{calls_waiting := N}} = py:stats(), N =:= 0 end),
    Release(),
    receive {Worker, {ok, 1}} -> ok end.

context_killed(_) ->
    {ok, [A, _]} = py:start_contexts(),
    Me = self(),
    ok = py:register_function(hold, fun([]) -> Me ! {held, self()}, receive after infinity -> ok end end),
    spawn_link(fun() -> Me ! {result, py:eval(A, "__import__('erlang').call('hold')")} end),
    receive {held, Function} -> true = Function =/= A, exit(A, kill) end,
    receive {result, Result} -> ?assertEqual({error, {host_down, killed}}, Result) end,
    eventually(fun() -> {ok, #{contexts := N}} = py:stats(), N =:= 2 end),
    {ok, 1} = py:eval("1").

%% A call in progress that is held up in Python, and the way to let it go on: it reads a pipe that nobody has opened for writing yet.
held() ->
    Me = self(),
    Pipe = short_path([]),
    "" = os:cmd("mkfifo " ++ Pipe),
    Code = "len(__import__('erlang').call('begun') + open(path).read())",
    ok = py:register_function(begun, fun([]) -> Me ! begun, <<>> end),
    Worker = spawn_link(fun() -> Me ! {self(), py:eval(Code, #{path => unicode:characters_to_binary(Pipe)})} end),
    receive begun -> ok end,
    {fun() -> "" = os:cmd("printf x > " ++ Pipe), ok = file:delete(Pipe) end, Worker}.

%% As many calls in progress at once, each held up in a function until its gate is opened.
busy(Count) ->
    Me = self(),
    ok = py:register_function(gate, fun([]) -> Me ! {gate, self()}, receive open -> 1 end end),
    Workers = [spawn_link(fun() -> Me ! {self(), py:eval("__import__('erlang').call('gate')")} end) || _ <- lists:seq(1, Count)],
    {[receive {gate, Gate} -> Gate end || _ <- Workers], Workers}.

%% Ends

timeout(_) ->
    {ok, _} = py:start_contexts(),
    {Time, Result} = timer:tc(fun() -> py:eval("__import__('time').sleep(60)", #{}, 50) end),
    ?assertEqual({error, timeout}, Result),
    ?assert(Time < 500000),
    {ok, 1} = py:eval("1"),
    eventually(fun() -> {ok, #{contexts := N}} = py:stats(), N =:= 2 end).

timeout_while_waiting(_) ->
    {Release, Worker} = held(),
    {error, timeout} = py:eval("1", #{}, 20),
    {ok, #{calls_waiting := 0, contexts := 1}} = py:stats(),
    Release(),
    receive {Worker, {ok, 1}} -> ok end.

host_killed(_) ->
    {ok, Pid} = py:eval("__import__('os').getpid()"),
    kill(Pid),
    eventually(fun() -> case py:eval("__import__('os').getpid()") of {ok, Other} -> Other =/= Pid; {error, {host_down, _}} -> false end end).

%% Who waits hears of it within 100 ms: the best of three, since what else the machine does is not measured.
host_killed_in_mid_call(_) ->
    ?assert(lists:min([host_killed_after() || _ <- [1, 2, 3]]) < 100),
    {ok, 1} = py:eval("1").

host_killed_after() ->
    {ok, Pid} = py:eval("__import__('os').getpid()"),
    Me = self(),
    ok = py:register_function(ready, fun([]) -> Me ! ready end),
    spawn_link(fun() -> Me ! {result, py:exec("import erlang, time\nerlang.call('ready')\ntime.sleep(60)")} end),
    receive ready -> ok end,
    Start = erlang:monotonic_time(millisecond),
    kill(Pid),
    receive {result, {error, {host_down, _}}} -> ok end,
    Took = erlang:monotonic_time(millisecond) - Start,
    eventually(fun() -> {Outcome, _} = py:eval("1"), Outcome =:= ok end),
    Took.

node_stops_host(_) ->
    {ok, Pid} = py:eval("__import__('os').getpid()"),
    ok = application:stop(erlang_python),
    eventually(fun() -> not filelib:is_dir("/proc/" ++ integer_to_list(Pid)) end).

kill(Pid) ->
    "" = os:cmd("kill -9 " ++ integer_to_list(Pid)).

missing_python(_) ->
    {error, {host_down, Text}} = py:eval("1"),
    ?assertNotEqual(nomatch, binary:match(Text, <<"/nowhere/python3">>)),
    {Time, {error, {host_down, _}}} = timer:tc(fun() -> py:eval("1") end),
    ?assert(Time < 100000),
    {error, {host_down, _}} = py:start_contexts(),
    {_Socket, _} = py_client:thread().

%% Settings

wrong_setting(_) ->
    [begin
        ok = application:load(erlang_python),
        ok = application:set_env(erlang_python, Name, Value),
        {error, {erlang_python, {{bad_setting, Name, Text}, _}}} = application:ensure_all_started(erlang_python),
        ?assertNotEqual(nomatch, binary:match(Text, atom_to_binary(Name))),
        py_client:stop_app()
     end || {Name, Value} <- [{hosts, -1}, {contexts, 0}, {max_contexts, many}, {max_workers, 0}, {max_frame, 1}, {poll, a},
                              {deadlock_after, 0}, {socket, 1}, {env, [x]}, {cd, 1}, {python, []}, {create_atoms, 'maybe'}]].

long_socket_path(_) ->
    ok = application:load(erlang_python),
    ok = application:set_env(erlang_python, socket, "/tmp/" ++ lists:duplicate(103, $x)),
    {error, {erlang_python, {{bad_setting, socket, Text}, _}}} = application:ensure_all_started(erlang_python),
    ?assertNotEqual(nomatch, binary:match(Text, <<"107 bytes">>)).

given_socket(Config) ->
    Path = short_path(Config),
    py_client:start_app([{socket, Path}]),
    {ok, #file_info{mode = Mode}} = file:read_file_info(Path),
    ?assertEqual(8#600, Mode band 8#777),
    {_, _} = py_client:thread(),
    py_client:stop_app(),
    {error, enoent} = file:read_file_info(Path).

stale_socket(Config) ->
    Path = short_path(Config),
    {ok, Socket} = socket:open(local, stream),
    ok = socket:bind(Socket, #{family => local, path => Path}),
    ok = socket:close(Socket),
    {ok, _} = file:read_file_info(Path),
    py_client:start_app([{socket, Path}]),
    {_, _} = py_client:thread().

socket_in_use(Config) ->
    Path = short_path(Config),
    {ok, Listener, File} = py_endpoint:listen(Path),
    ?assertError({badmatch, {error, {erlang_python, _}}}, py_client:start_app([{socket, Path}])),
    {ok, _} = file:read_file_info(Path),
    ok = py_endpoint:close(Path, Listener, File).

private_directory(_) ->
    py_client:start_app([]),
    Directory = filename:dirname(py_client:path()),
    {ok, #file_info{mode = Mode}} = file:read_file_info(Directory),
    ?assertEqual(8#700, Mode band 8#777),
    py_client:stop_app(),
    {error, enoent} = file:read_file_info(Directory).

environment(_) ->
    {ok, <<"žlutý"/utf8>>} = py:eval("__import__('os').environ['ERLPY_TEST']"),
    {ok, <<"/">>} = py:eval("__import__('os').getcwd()").

short_path(_Config) ->
    filename:join("/tmp", "erlpy-ct-" ++ os:getpid() ++ "-" ++ integer_to_list(erlang:unique_integer([positive]))).

%% Helpers

elsewhere(Fun) ->
    Me = self(),
    {Pid, Monitor} = spawn_monitor(fun() -> Me ! {self(), Fun()} end),
    receive {'DOWN', Monitor, _, _, normal} -> receive {Pid, Result} -> Result end end.

%% True in the end, or the test case's own limit says that it never was.
eventually(Condition) ->
    case Condition() of
        true -> ok;
        false -> timer:sleep(5), eventually(Condition)
    end.
