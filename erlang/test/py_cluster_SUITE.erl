%% Two real nodes, connected by Erlang's distribution: Python at one of them knows processes of the other.
-module(py_cluster_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() -> [pid_of_another_node, message_to_another_node, process_that_is_gone].

%% The port mapper daemon outlives whoever starts it, so one of our own ends with the suite.
init_per_suite(Config) ->
    Ours = os:cmd("epmd -names 2>/dev/null") =:= "" orelse nomatch =/= string:find(os:cmd("epmd -names"), "Cannot connect"),
    "" = os:cmd("epmd -daemon"),
    Name = list_to_atom("erlpy_ct_" ++ os:getpid() ++ "@127.0.0.1"),
    {ok, _} = net_kernel:start(Name, #{name_domain => longnames}),
    Here = filename:dirname(code:which(?MODULE)),
    {ok, Peer, Node} = peer:start(#{name => peer:random_name(), host => "127.0.0.1", longnames => true, args => ["-pa", Here]}),
    py_client:start_app([{hosts, 1}, {contexts, 1}]),
    [{peer, Peer}, {node, Node}, {epmd, Ours} | Config].

end_per_suite(Config) ->
    py_client:stop_app(),
    ok = peer:stop(proplists:get_value(peer, Config)),
    ok = net_kernel:stop(),
    _ = [os:cmd("epmd -kill") || proplists:get_value(epmd, Config)],
    ok.

pid_of_another_node(Config) ->
    Pid = erpc:call(proplists:get_value(node, Config), erlang, whereis, [init]),
    ?assertNotEqual(node(), node(Pid)),
    {ok, Pid} = py:eval("pid", #{pid => Pid}),
    {ok, {Pid, true}} = py:eval("(pid, {pid: 1} == {pid2: 1})", #{pid => Pid, pid2 => Pid}).

%% What Python sends arrives there, in order.
message_to_another_node(Config) ->
    Me = self(),
    Pid = spawn(proplists:get_value(node, Config), fun Forward() -> receive M -> Me ! {forwarded, M}, Forward() end end),
    {ok, none} = py:call(builtins, exec, [<<"import erlang\nfor n in range(100): erlang.send(pid, n)">>, #{pid => Pid}]),
    ?assertEqual(lists:seq(0, 99), [receive {forwarded, M} -> M end || _ <- lists:seq(0, 99)]).

%% Whether a process of another node lives is not asked: the message goes out, as Erlang's own would.
process_that_is_gone(Config) ->
    Pid = spawn(proplists:get_value(node, Config), fun() -> ok end),
    {ok, _} = py:eval("__import__('erlang').send(pid, 1)", #{pid => Pid}).
