%% Settings at the application's start: refused, ignored, reported.
-module(py_settings_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> [unknown, second_step, foreign, foreign_beside_unknown, of_otp, wrong, documented, hosts_that_do_not_start].

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    py_client:stop_app().

unknown(_) ->
    ?assertMatch(<<"there is no setting max_worker; did you mean max_workers? All are cd, contexts, create_atoms, ", _/binary>>,
                 refusal([{max_worker, 5}])),
    %% Nothing of it is left behind.
    undefined = whereis(py_sup),
    ?assertError({not_started, erlang_python}, py_settings:get(hosts)).

%% Settings of a later version are not there yet.
second_step(_) ->
    [?assertMatch({Name, <<"there is no setting ", _/binary>>}, {Name, refusal([{Name, Value}])}) ||
        {Name, Value} <- [{preload, []}, {limits, #{}}, {recycle, #{}}, {kill_after, 5000}, {output, logger}, {pools, []}]].

foreign(_) ->
    ok = listen(),
    Foreign = [{num_contexts, 8}, {context_mode, owngil}, {max_concurrent, 17}, {num_workers, 4}, {num_executors, 4}, {num_subinterp_workers, 2},
               {num_async_workers, 2}, {event_loop_pool_size, 8}, {event_loop_pool_owngil, true}, {imports, [{json, dumps}]}, {paths, ["/tmp"]},
               {python_path, []}, {worker_timeout, 30000}, {enable_memory_limits, true}, {io_pool_size, 10}],
    py_client:start_app(Foreign),
    [receive
        {logged, #{what := py_setting_ignored, setting := Name, instead := Instead}} -> ?assert(is_binary(Instead) andalso Instead =/= <<>>)
     after 5000 -> error({not_logged, Name}) end || {Name, _} <- Foreign],
    %% Each once.
    receive {logged, #{what := py_setting_ignored}} = Again -> error(Again) after 0 -> ok end,
    {_, _} = py_client:thread().

foreign_beside_unknown(_) ->
    ?assertMatch(<<"there is no setting num_context; did you mean max_contexts? ", _/binary>>, refusal([{num_contexts, 8}, {num_context, 8}])).

%% OTP has a key of its own in the environment of an application.
of_otp(_) ->
    py_client:start_app([{included_applications, []}]),
    {_, _} = py_client:thread().

%% The error names the setting, the wanted value and the given one.
wrong(_) ->
    ?assertEqual(<<"setting hosts must be an integer from 0, not many">>, refusal([{hosts, many}])),
    ?assertEqual(<<"setting send must be any, none, or a list of names of registered processes, not \"init\"">>, refusal([{send, "init"}])),
    ?assertEqual(<<"setting max_state_entries must be an integer from 1, or infinity, not 0">>, refusal([{max_state_entries, 0}])),
    ?assertEqual(<<"setting env must be a list of {\"NAME\", \"value\"}, not [{\"A\",1}|b]">>, refusal([{env, [{"A", 1} | b]}])),
    ?assertEqual(<<"setting python must be a string, not [97|b]">>, refusal([{python, [$a | b]}])).

%% docs/settings.md lists each setting.
documented(_) ->
    {ok, Text} = file:read_file(filename:join([py_unit_SUITE:root(), "docs", "settings.md"])),
    {ok, Settings} = py_settings:check(#{}),
    [?assertNotEqual({Name, nomatch}, {Name, binary:match(Text, <<"| `", (atom_to_binary(Name))/binary, "` |">>)}) || Name <- maps:keys(Settings)].

%% A token for each start, until it has failed.
hosts_that_do_not_start(_) ->
    ok = listen(),
    py_client:start_app([{hosts, 3}, {python, "/nowhere/python3"}]),
    [receive {logged, #{what := py_host_down}} -> ok end || _ <- lists:seq(1, 15)],
    ?assert(length(tokens()) =< 3),
    [ok = supervisor:terminate_child(py_host_sup, {py_host, N}) || N <- [1, 2, 3]],
    ?assertEqual([], tokens()).

tokens() ->
    [Admission] = [Element || Element <- tuple_to_list(sys:get_state(py_coordinator)), is_tuple(Element), element(1, Element) =:= admission],
    py_admission:tokens(Admission).

refusal(Settings) ->
    py_client:stop_app(),
    ok = application:load(erlang_python),
    [ok = application:set_env(erlang_python, Name, Value) || {Name, Value} <- [{hosts, 0} | Settings]],
    [{Wrong, _} | _] = lists:reverse(Settings),
    {error, {erlang_python, {{bad_setting, Wrong, Text}, _}}} = application:ensure_all_started(erlang_python),
    Text.

listen() -> logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}, level => warning}).

log(#{msg := {report, #{what := _} = Report}}, #{config := #{to := Pid}}) -> Pid ! {logged, Report}, ok;
log(_, _) -> ok.
