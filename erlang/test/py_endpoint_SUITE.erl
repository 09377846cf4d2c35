%% The setting `socket': files at that path are replaced or refused, and one of several nodes gets
%% it.
-module(py_endpoint_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("kernel/include/file.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        refuses_what_is_no_socket, refuses_links, refuses_listeners, refuses_datagram_sockets, refuses_what_cannot_be, replaces_dead_sockets,
        is_in_words, stop_removes_its_own, stop_leaves_others, coordinator_restarts, listeners_race, nodes_race, killed_node_leaves_no_lock
    ].

init_per_testcase(_Case, Config) ->
    Directory = "/tmp/erlpy-ct-" ++ os:getpid() ++ "-" ++ integer_to_list(erlang:unique_integer([positive])),
    ok = file:make_dir(Directory),
    [{directory, Directory}, {path, filename:join(Directory, "s")} | Config].

end_per_testcase(_Case, Config) ->
    py_client:stop_app(),
    ok = file:del_dir_r(directory(Config)).

directory(Config) -> proplists:get_value(directory, Config).
path(Config) -> proplists:get_value(path, Config).

refuses_what_is_no_socket(Config) ->
    Path = path(Config),
    [begin
        Make(),
        {ok, Before} = file:read_link_info(Path),
        Text = refusal(Path),
        ?assertNotEqual({Text, nomatch}, {Text, binary:match(Text, What)}),
        ?assertEqual({ok, Before}, file:read_link_info(Path)),
        ok = file:del_dir_r(Path)
     end || {What, Make} <- [
        {<<"a file stands at ">>, fun() -> ok = file:write_file(Path, "years of work") end},
        {<<"a directory stands at ">>, fun() -> ok = file:make_dir(Path) end},
        {<<"a named pipe stands at ">>, fun() -> "" = os:cmd("mkfifo " ++ Path) end}
     ]],
    %% A path in /dev is a device, and is only looked at.
    ?assertMatch({match, _}, re:run(refusal("/dev/null"), "a device stands at /dev/null, which is left as it is")),
    {ok, #file_info{type = device}} = file:read_link_info("/dev/null").

refuses_links(Config) ->
    Path = path(Config),
    File = filename:join(directory(Config), "precious.txt"),
    Dead = filename:join(directory(Config), "dead"),
    ok = file:write_file(File, "years of work"),
    ok = dead_socket(Dead),
    [begin
        ok = file:make_symlink(Target, Path),
        Text = refusal(Path),
        ?assertNotEqual({Text, nomatch}, {Text, binary:match(Text, <<"a symbolic link stands at ">>)}),
        ?assertEqual({ok, Target}, file:read_link(Path)),
        ok = file:delete(Path)
     end || Target <- [File, Dead, "/nowhere"]],
    ?assertEqual({ok, <<"years of work">>}, file:read_file(File)),
    {ok, #file_info{type = other}} = file:read_link_info(Dead).

refuses_listeners(Config) ->
    Path = path(Config),
    {ok, Socket} = socket:open(local, stream),
    ok = socket:bind(Socket, #{family => local, path => Path}),
    ok = socket:listen(Socket, 1),
    {ok, Before} = file:read_link_info(Path),
    %% With its backlog full, too.
    Waiting = [begin
        Text = refusal(Path),
        ?assertNotEqual({Text, nomatch}, {Text, binary:match(Text, <<"somebody listens at ">>)}),
        {ok, Client} = socket:open(local, stream),
        _ = socket:connect(Client, #{family => local, path => Path}, nowait),
        Client
     end || _ <- lists:seq(1, 4)],
    ?assertEqual({ok, Before}, file:read_link_info(Path)),
    _ = [socket:close(Open) || Open <- [Socket | Waiting]].

refuses_datagram_sockets(Config) ->
    Path = path(Config),
    {ok, Socket} = socket:open(local, dgram),
    ok = socket:bind(Socket, #{family => local, path => Path}),
    ?assertNotEqual(nomatch, binary:match(refusal(Path), <<"somebody listens at ">>)),
    {ok, _} = file:read_link_info(Path),
    ok = socket:close(Socket).

refuses_what_cannot_be(Config) ->
    ?assertNotEqual(nomatch, binary:match(refusal("/nowhere/at/all/s"), <<"cannot listen at /nowhere/at/all/s: no such file or directory">>)),
    File = path(Config),
    ok = file:write_file(File, "x"),
    ?assertNotEqual(nomatch, binary:match(refusal(File ++ "/s"), <<"not a directory">>)).

replaces_dead_sockets(Config) ->
    Path = path(Config),
    ok = dead_socket(Path),
    py_client:start_app([{socket, Path}]),
    {_, _} = py_client:thread().

%% The start's error and the log have them, not a nest of tuples.
is_in_words(Config) ->
    Path = path(Config),
    ok = file:write_file(Path, "x"),
    ?assertEqual(
        iolist_to_binary(["a file stands at ", Path, ", which is left as it is: choose another path, or remove it (setting socket)"]),
        refusal(Path)).

stop_removes_its_own(Config) ->
    Path = path(Config),
    py_client:start_app([{socket, Path}]),
    {ok, _} = file:read_link_info(Path),
    py_client:stop_app(),
    ?assertEqual({error, enoent}, file:read_link_info(Path)),
    {ok, _} = file:read_link_info(directory(Config)).

%% Somebody has removed our socket and put something else there.
stop_leaves_others(Config) ->
    Path = path(Config),
    [begin
        py_client:start_app([{socket, Path}]),
        ok = file:delete(Path),
        Make(),
        {ok, Before} = file:read_link_info(Path),
        py_client:stop_app(),
        ?assertEqual({ok, Before}, file:read_link_info(Path)),
        ok = file:del_dir_r(Path)
     end || Make <- [
        fun() -> ok = file:write_file(Path, "years of work") end, fun() -> ok = file:make_dir(Path) end,
        fun() -> ok = file:make_symlink("/dev/null", Path) end, fun() -> ok = dead_socket(Path) end
     ]].

%% A killed coordinator leaves its socket; the next one replaces it, and removes its own in the end.
coordinator_restarts(Config) ->
    Path = path(Config),
    py_client:start_app([{socket, Path}]),
    Old = whereis(py_coordinator),
    Monitor = py_client:watch(Old),
    exit(Old, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    %% The supervisor answers after the restart.
    _ = supervisor:which_children(py_sup),
    {_, _} = py_client:thread(),
    py_client:stop_app(),
    ?assertEqual({error, enoent}, file:read_link_info(Path)).

%% In one node, with and without a dead socket at the path: one gets it, and a client reaches that
%% one.
listeners_race(Config) ->
    Path = path(Config),
    [listeners_race(Path, Round) || Round <- lists:seq(1, 200)].

listeners_race(Path, Round) ->
    _ = Round rem 2 =:= 0 andalso dead_socket(Path),
    Me = self(),
    Racers = [spawn_link(fun() ->
        receive go -> ok end,
        Me ! {self(), py_endpoint:listen(Path)},
        receive stop -> ok end
    end) || _ <- lists:seq(1, 8)],
    [Racer ! go || Racer <- Racers],
    Results = [receive {Racer, Result} -> Result end || Racer <- Racers],
    ?assertMatch([_], [Socket || {ok, Socket, _} <- Results]),
    ?assertEqual(7, length([Text || {error, {bad_setting, socket, Text}} <- Results])),
    [{ok, Listener, File}] = [Result || {ok, _, _} = Result <- Results],
    Client = py_client:connect(Path),
    {ok, Accepted} = socket:accept(Listener, 5000),
    _ = [socket:close(Open) || Open <- [Client, Accepted]],
    ok = py_endpoint:close(Path, Listener, File),
    ?assertEqual({error, enoent}, file:read_link_info(Path)),
    [Racer ! stop || Racer <- Racers].

%% Two real nodes begin at the same millisecond.
nodes_race(Config) ->
    Path = path(Config),
    Peers = [node_with(Path) || _ <- [a, b]],
    [nodes_race(Path, Peers, Round) || Round <- lists:seq(1, 60)],
    [peer:stop(Peer) || Peer <- Peers].

nodes_race(Path, Peers, Round) ->
    _ = Round rem 2 =:= 0 andalso dead_socket(Path),
    Me = self(),
    At = os:system_time(microsecond) + 3000,
    [spawn_link(fun() -> Me ! {Peer, peer:call(Peer, ?MODULE, start_at, [At])} end) || Peer <- Peers],
    Results = [receive {Peer, Result} -> Result end || Peer <- Peers],
    ?assertMatch({[_], [_]}, {[ok || {ok, _} <- Results], [Text || {error, {erlang_python, {{bad_setting, socket, Text}, _}}} <- Results]}),
    Client = py_client:connect(Path),
    {1, {erlpy, 1, _, _}} = py_client:hello(Client),
    py_client:close(Client),
    [peer:call(Peer, application, stop, [erlang_python]) || Peer <- Peers],
    ?assertEqual({error, enoent}, file:read_link_info(Path)).

start_at(Time) ->
    case os:system_time(microsecond) >= Time of
        true -> application:ensure_all_started(erlang_python);
        false -> start_at(Time)
    end.

node_with(Path) ->
    {ok, Peer, _} = peer:start_link(#{connection => standard_io, args => code_path()}),
    ok = peer:call(Peer, logger, set_primary_config, [level, none]),
    ok = peer:call(Peer, application, load, [erlang_python]),
    [ok = peer:call(Peer, application, set_env, [erlang_python, Name, Value]) || {Name, Value} <- [{hosts, 0}, {socket, Path}]],
    Peer.

code_path() ->
    lists:append([["-pa", filename:dirname(code:which(Module))] || Module <- [?MODULE, py]]).

hold_lock(Path) ->
    Me = self(),
    Holder = spawn(fun() -> {ok, _} = py_endpoint:lock(Path), Me ! {self(), held}, receive never -> ok end end),
    receive {Holder, held} -> ok end.

%% It was stopped by the kernel in the middle of its start, with the lock.
killed_node_leaves_no_lock(Config) ->
    Path = path(Config),
    {ok, Peer, _} = peer:start(#{connection => standard_io, args => code_path()}),
    ok = peer:call(Peer, ?MODULE, hold_lock, [Path]),
    ?assertNotEqual(nomatch, binary:match(refusal(Path), <<"another node is about to listen at ">>)),
    Monitor = monitor(process, Peer),
    Pid = peer:call(Peer, os, getpid, []),
    "" = os:cmd("kill -9 " ++ Pid),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    py_client:start_app([{socket, Path}]),
    {_, _} = py_client:thread().

%% The application's reason not to start with this path.
refusal(Path) ->
    _ = application:load(erlang_python),
    ok = application:set_env(erlang_python, hosts, 0),
    ok = application:set_env(erlang_python, socket, Path),
    {error, {erlang_python, {{bad_setting, socket, Text}, _}}} = application:ensure_all_started(erlang_python),
    Text.

%% A socket file without a process.
dead_socket(Path) ->
    {ok, Socket} = socket:open(local, stream),
    ok = socket:bind(Socket, #{family => local, path => Path}),
    ok = socket:listen(Socket, 1),
    socket:close(Socket).
