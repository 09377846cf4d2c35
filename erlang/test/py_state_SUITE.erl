%% The bound of the shared table: setting `max_state_entries'.
-module(py_state_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        new_keys_are_refused, keys_that_are_there_change, room_comes_back, unbounded, python_is_told, real_python_is_told,
        writers_at_once, counters_at_once, writers_and_removers_at_once, process_ends
    ].

init_per_testcase(unbounded, Config) ->
    ok = py_client:start_app([{max_state_entries, infinity}]),
    Config;
init_per_testcase(real_python_is_told, Config) ->
    ok = py_client:start_app([{max_state_entries, 5}, {hosts, 1}, {contexts, 1}]),
    Config;
init_per_testcase(_Case, Config) ->
    ok = py_client:start_app([{max_state_entries, 5}]),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

fill() ->
    [ok = py:state_store({k, N}, N) || N <- lists:seq(1, 5)],
    ok.

new_keys_are_refused(_) ->
    ok = fill(),
    ?assertEqual({error, {max_state_entries, 5}}, py:state_store({k, 6}, 6)),
    ?assertError({max_state_entries, 5}, py:state_incr({k, 6})),
    ?assertError({max_state_entries, 5}, py:state_decr({k, 6}, 3)),
    ?assertEqual({error, not_found}, py:state_fetch({k, 6})),
    ?assertEqual(5, length(py:state_keys())).

keys_that_are_there_change(_) ->
    ok = fill(),
    ok = py:state_store({k, 3}, 30),
    ?assertEqual([31, 41, 40], [py:state_incr({k, 3}), py:state_incr({k, 3}, 10), py:state_decr({k, 3})]),
    ok = py:state_store({k, 3}, text),
    ?assertError(badarg, py:state_incr({k, 3})),
    %% As an atom and as its text it is one key.
    ok = py:state_remove({k, 1}),
    ok = py:state_store(name, 1),
    ok = py:state_store(<<"name">>, 2),
    ?assertEqual({ok, 2}, py:state_fetch(name)).

room_comes_back(_) ->
    ok = fill(),
    [ok = py:state_remove(missing) || _ <- lists:seq(1, 10)],
    {error, _} = py:state_store(new, 1),
    ok = py:state_remove({k, 1}),
    ?assertEqual(1, py:state_incr(new)),
    {error, _} = py:state_store(newer, 1),
    ok = py:state_clear(),
    ok = fill(),
    {error, _} = py:state_store(newer, 1).

unbounded(_) ->
    [ok = py:state_store(N, N) || N <- lists:seq(1, 1000)],
    ?assertEqual(1000, length(py:state_keys())).

python_is_told(_) ->
    {Socket, _} = py_client:thread(),
    ok = fill(),
    Full = {4, 1, {limit, <<"the shared table holds 5 keys, as many as it may (setting max_state_entries)">>}},
    ?assertEqual(Full, py_client:call(Socket, state_set, [<<"new">>, 1])),
    ?assertEqual(Full, py_client:call(Socket, state_incr, [<<"new">>, 1])),
    ?assertEqual(Full, py_client:call(Socket, state_decr, [<<"new">>, 1])),
    {3, 1, ok} = py_client:call(Socket, state_set, [{k, 1}, 2]),
    {3, 1, 3} = py_client:call(Socket, state_incr, [{k, 1}, 1]),
    {3, 1, ok} = py_client:call(Socket, state_delete, [{k, 1}]),
    {3, 1, -1} = py_client:call(Socket, state_decr, [<<"new">>, 1]).

real_python_is_told(_) ->
    ok = fill(),
    ok = py:exec("
import erlang

def attempt(do):
    try:
        return do()
    except ValueError as e:
        return str(e)
"),
    [?assertEqual({ok, <<"the shared table holds 5 keys, as many as it may (setting max_state_entries)">>}, py:eval(["attempt(lambda: erlang.", Do, ")"]))
     || Do <- ["state_set('new', 1)", "state_incr('new')", "state_decr('new', 2)"]].

%% Exactly as many new keys as there is room for.
writers_at_once(_) ->
    [begin
        ok = py:state_clear(),
        Results = at_once([fun() -> py:state_store({Round, N}, N) end || N <- lists:seq(1, 16)]),
        ?assertEqual({5, 11}, {length([ok || ok <- Results]), length([ok || {error, {max_state_entries, 5}} <- Results])}),
        ?assertEqual(5, length(py:state_keys()))
     end || Round <- lists:seq(1, 200)].

%% One new key for all of them: the last place is enough.
counters_at_once(_) ->
    [begin
        ok = py:state_clear(),
        [ok = py:state_store(N, N) || N <- lists:seq(1, 4)],
        ?assertEqual(lists:seq(1, 16), lists:sort(at_once([fun() -> py:state_incr(new) end || _ <- lists:seq(1, 16)])))
     end || _ <- lists:seq(1, 200)].

writers_and_removers_at_once(_) ->
    Work = fun(N) -> fun() ->
        [begin
            _ = py:state_store({N, I}, I),
            true = ets:info(py_state, size) =< 5,
            ok = py:state_remove({N, I})
         end || I <- lists:seq(1, 1000)]
    end end,
    _ = at_once([Work(N) || N <- lists:seq(1, 8)]),
    ?assertEqual([], py:state_keys()),
    ok = fill().

at_once(Funs) ->
    Me = self(),
    Pids = [spawn_link(fun() -> receive go -> Me ! {self(), Fun()} end end) || Fun <- Funs],
    [Pid ! go || Pid <- Pids],
    [receive {Pid, Result} -> Result end || Pid <- Pids].

%% What is in the table stays, and counts.
process_ends(_) ->
    ok = fill(),
    Old = whereis(py_state),
    Monitor = py_client:watch(Old),
    exit(Old, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    %% The supervisor answers after the restart.
    _ = supervisor:which_children(py_sup),
    ?assertEqual({ok, 3}, py:state_fetch({k, 3})),
    {error, {max_state_entries, 5}} = py:state_store(new, 1).
