%% Handlers as a whole: how many there are, what each keeps, and what becomes of them when the coordinator ends.
-module(py_worker_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [worker_limit, worker_place_freed, handler_reuse, many_at_once, stats, coordinator_crash].

init_per_testcase(Case, Config) ->
    ok = py_client:start_app(settings(Case)),
    ok = py_peer:register(),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

settings(worker_limit) -> [{max_workers, 2}];
settings(worker_place_freed) -> [{max_workers, 1}];
settings(_) -> [].

worker_limit(_) ->
    {A, _} = py_client:thread(),
    {_B, _} = py_client:thread(),
    C = py_client:connect(),
    {4, {refused, Text}} = py_client:hello(C),
    ?assertEqual(<<"too many workers: 2 are connected (setting max_workers)">>, Text),
    ?assert(py_client:eof(C)),
    {3, 1, 42} = py_client:call(A, <<"double_it">>, [21]).

worker_place_freed(_) ->
    {A, Handler} = py_client:thread(),
    Monitor = monitor(process, Handler),
    py_client:close(A),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    %% The coordinator hears of it in the same moment; asking it something orders the two.
    _ = py_client:path(),
    {_, _} = py_client:thread().

handler_reuse(_) ->
    {Socket, Handler} = py_client:thread(),
    [{3, 1, Handler} = py_client:call(Socket, <<"whoami">>, []) || _ <- lists:seq(1, 100)].

many_at_once(_) ->
    Me = self(),
    Clients = [spawn_link(fun() ->
        {Socket, Handler} = py_client:thread(),
        receive go -> ok end,
        [{3, 1, {N, I}} = py_client:call(Socket, <<"echo">>, [{N, I}]) || I <- lists:seq(1, 200)],
        Me ! {done, Handler, self()},
        receive stop -> ok end
    end) || N <- lists:seq(1, 64)],
    [Client ! go || Client <- Clients],
    Handlers = [receive {done, Handler, Client} -> Handler end || Client <- Clients],
    ?assertEqual(64, length(lists:usort(Handlers))),
    {ok, #{handlers := Known}} = py:stats(),
    ?assertEqual(lists:sort(Handlers), lists:sort(Known)),
    [Client ! stop || Client <- Clients].

stats(_) ->
    {ok, #{handlers := [], functions := N, hosts := 0, contexts := 0, contexts_idle := 0}} = py:stats(),
    ok = py:register_function(one_more, fun([]) -> ok end),
    {Socket, Handler} = py_client:thread(),
    ?assertMatch({ok, #{handlers := [Handler], functions := M}} when M =:= N + 1, py:stats()),
    py_client:close(Socket).

coordinator_crash(_) ->
    Path = py_client:path(),
    {Socket, Handler} = py_client:thread(),
    Old = whereis(py_coordinator),
    Monitor = monitor(process, Old),
    exit(Old, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    renamed(Old),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    ?assertEqual(Path, py_client:path()),
    ?assertMatch({ok, #{handlers := [Handler]}}, py:stats()),
    {_, _} = py_client:thread().

renamed(Old) ->
    case whereis(py_coordinator) of
        %% The supervisor answers when it is through with the others, too.
        New when is_pid(New), New =/= Old -> _ = supervisor:which_children(py_sup), ok;
        _ -> erlang:yield(), renamed(Old)
    end.
