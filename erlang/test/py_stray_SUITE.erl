%% Unexpected and malformed messages: each process logs them, lives on, and does its work.
%%
%% Supervisors are left out: OTP's end at an unknown call; see SECURITY.md.
-module(py_stray_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> [coordinator, state, contexts, host, handler_of_a_thread, handler_of_a_context, handler_of_a_host, async_channel, known_calls_are_checked, logged].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 1}]),
    ok = py_peer:register(),
    {ok, 2} = py:eval("1 + 1"),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    ok = logger:set_primary_config(level, notice),
    py_client:stop_app().

coordinator(_) -> survives(whereis(py_coordinator)).
state(_) -> survives(whereis(py_state)).
contexts(_) -> survives(whereis(py_contexts)).

host(_) ->
    [{_, Host, worker, _}] = supervisor:which_children(py_host_sup),
    survives(Host).

handler_of_a_thread(_) ->
    {Socket, Handler} = py_client:thread(),
    survives(Handler),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

handler_of_a_context(_) -> survives(py:context(1)).

handler_of_a_host(_) ->
    [Control] = py_contexts:controls(),
    survives(Control).

async_channel(_) ->
    {Socket, Channel} = py_client:async(),
    survives(Channel),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

%% Every process of the application is the same one afterwards, and works.
survives(Pid) ->
    ok = logger:set_primary_config(level, none),
    Before = processes_of_the_application(),
    [begin
        Pid ! Message,
        %% Answers once the message is dealt with, or exits together with the process.
        try sys:get_status(Pid, 5000) of _ -> ok catch exit:Reason -> ct:fail({Message, Reason}) end
     end || Message <- messages()],
    ?assertEqual(Before, processes_of_the_application()),
    {Socket, _} = py_client:thread(),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]),
    {3, 1, ok} = py_client:call(Socket, state_set, [{new, Pid}, 1]),
    py_client:close(Socket),
    {ok, 42} = py:eval("__import__('erlang').call('double_it', 21)"),
    {ok, Stats} = py:stats(),
    ?assertMatch(#{hosts := 1, contexts := 1, contexts_idle := 1, calls_waiting := 0}, Stats).

processes_of_the_application() ->
    {ok, Names} = application:get_key(erlang_python, registered),
    [{_, Host, worker, _}] = supervisor:which_children(py_host_sup),
    {[{Name, whereis(Name)} || Name <- Names], Host, py_contexts:controls(), py:context(1)}.

messages() ->
    Strange = [nonsense, {}, [], 1, 1.5, <<"x">>, #{}, make_ref(), self(), fun() -> ok end, "text", [a | b], {a, b}, {1, 2, 3}, {none, none}, {none, {data, {eol, x}}},
               {none, {exit_status, x}}, {none, {exit_status, 1}}],
    Requests = Strange ++ near() ++ [{Word, Term} || Word <- words(), Term <- [nonsense, none, [], #{}, {x, y}]]
        ++ [{Word, a, b} || Word <- words()] ++ [{Word, a, b, c} || Word <- words()] ++ words(),
    Froms = [{self(), make_ref()}, {self(), [alias | make_ref()]}, {nobody, x}],
    Requests
        ++ [{'$gen_cast', Request} || Request <- Requests]
        ++ [{'$gen_call', From, Request} || Request <- Requests, From <- Froms]
        ++ [{'$gen_call', From, Request} || Request <- [path, threads, nonsense, stats, hosts], From <- [x, {}, {a, b, c}, [], self()]]
        ++ [{'$gen_all_state_event', nonsense}, {'$gen_event', nonsense}, {'EXIT', self(), nonsense}, {'EXIT', x, y},
            {'DOWN', make_ref(), process, self(), nonsense}, {'DOWN', x, y, z, nonsense}, {timeout, make_ref(), nonsense}, {timeout, x, {py_batches, 1}},
            {'$socket', x, select, make_ref()}, {'$socket', x, abort, {make_ref(), closed}}, {'$socket', x, abort, y}].

%% What the processes say to each other begins with one of these.
words() ->
    [admit, expect, forget, serves, threads, path, store, incr, run, cancel, host, interrupt, interrupt_within, start, list, running, hosts, controls,
     accept, launch, start_timeout, py_joined, py_done, drop, grow, join_timeout, let_go, insist, give_up, look, replace, owner_down,
     py_handler, py_async].

%% The right shape, and wrong in one place.
near() ->
    Stranger = spawn(fun() -> ok end),
    [
        {admit, thread, #{}}, {admit, async, #{}}, {admit, {context, <<"t">>}, #{}}, {admit, {host, x}, #{}}, {admit, {x, y, z}, x},
        {expect, 1.0}, {expect, {context, x}}, {forget, <<"unknown">>}, {forget, self()}, {serves, Stranger}, {store, x}, {incr, k, 1.5},
        {run, make_ref(), #{}}, {run, x, #{where => any, space => none, keep => false, payload => x}}, {run, x, y},
        {cancel, make_ref()}, {interrupt, Stranger}, {interrupt_within, Stranger, 1, Stranger}, {interrupt_within, x, y, z}, {start, 0}, {start, many}, {list, x},
        {host, Stranger, dead, none}, {host, x, up, Stranger}, {host, x, y, z},
        {py_joined, none, Stranger, #{}}, {py_joined, <<"unknown">>, x, #{}}, {start_timeout, none}, {start_timeout, <<"unknown">>},
        {py_done, Stranger}, {{grow, <<"unknown">>}, {ok, x}}, {{grow, <<"unknown">>}, nonsense}, {{grow, x}, timeout}, {join_timeout, <<"unknown">>},
        {{interrupt, Stranger}, {ok, x}}, {{interrupt, Stranger}, nonsense}, {{interrupt_within, x}, nonsense}, {let_go, Stranger, none}, {let_go, Stranger, x},
        {insist, Stranger, make_ref()}, {give_up, Stranger, make_ref()}, {replace, Stranger}, {replace, x},
        {{owner_down, make_ref()}, make_ref(), process, Stranger, x}, {{owner_down, x}, y, z},
        {py_handler, request, nonsense}, {py_handler, request, {nonsense, none, <<>>}}, {py_handler, let_go, Stranger}, {py_handler, socket, x},
        {py_handler, served, Stranger, x}, {py_async, over, Stranger, x}, {py_async, over, x, y}
    ].

%% A known call by a stranger.
known_calls_are_checked(_) ->
    {ok, #{handlers := Before}} = py:stats(),
    ?assertMatch({refused, _}, py_coordinator:admit(thread, #{})),
    ?assertMatch({ok, #{handlers := Before}}, py:stats()),
    ?assertEqual(false, py_coordinator:dismiss(whereis(py_state))),
    ?assertEqual(false, py_coordinator:dismiss(self())).

logged(_) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}, level => warning}),
    [begin
        Name ! Message,
        receive {logged, Stray} -> ?assertMatch({Name, Message, #{what := py_stray_message, process := Name}}, {Name, Message, Stray})
        after 5000 -> error({not_logged, Name, Message}) end
     end || Name <- [py_coordinator, py_state],
            Message <- [nonsense, {'$gen_cast', nonsense}, {'$gen_call', {self(), make_ref()}, {expect, nonsense}}, {'$gen_call', x, path}]].

log(#{msg := {report, #{what := _} = Report}}, #{config := #{to := Pid}}) -> Pid ! {logged, Report}, ok;
log(_, _) -> ok.
