%% The setting `send' on each way for a message: channels, casts, contexts, threads, nested calls.
-module(py_send_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 60}}].

%% Each by the value of the setting.
all() -> [any, none, empty, names, names_of_other_kinds, python_any, python_none, python_names].

init_per_testcase(Case, Config) ->
    py_client:start_app(settings(Case)),
    ok = py_peer:register(),
    ok = py:register_function(nested_send, fun([Dest, Term]) ->
        {ok, Result} = py:eval("attempt(lambda: erlang.send(dest, term))", #{dest => Dest, term => Term}), Result
    end),
    true = register(py_send_friend, self()),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

settings(any) -> [];
settings(none) -> [{send, none}];
settings(empty) -> [{send, []}];
settings(names) -> [{send, [py_send_friend, "py_send_absent"]}];
settings(names_of_other_kinds) -> [{send, [<<"py_send_friend">>, 'žluť']}];
settings(python_any) -> [{hosts, 1}, {contexts, 1}];
settings(python_none) -> [{hosts, 1}, {contexts, 1}, {send, none}];
settings(python_names) -> [{hosts, 1}, {contexts, 1}, {send, [py_send_friend]}].

%% By a thread's channel, an async channel, and casts on both.

any(_) ->
    Pid = self(),
    [begin
        {3, 1, ok} = py_client:call(Socket, send, [Dest, Dest]),
        receive Dest -> ok after 0 -> error({not_sent, Dest}) end,
        cast(Socket, send, [Dest, {cast, Dest}]),
        receive {cast, Dest} -> ok end
     end || Socket <- channels(), Dest <- [Pid, py_send_friend, <<"py_send_friend">>]],
    [{3, 1, Pid} = py_client:call(Socket, 'whereis', [py_send_friend]) || Socket <- channels()],
    [{3, 1, ok} = py_client:call(Socket, send, [remote(), x]) || Socket <- channels()].

none(_) ->
    refused(<<"allows none">>, [self(), remote(), whereis(init), py_send_friend, <<"py_send_friend">>, init, <<"init">>, <<"no such name">>]),
    values_pass().

empty(_) ->
    refused(<<"allows registered names alone">>, [self(), remote(), whereis(init)]),
    refused(<<"does not list that name">>, [py_send_friend, <<"init">>]),
    values_pass().

names(_) ->
    friend_alone([py_send_friend, <<"py_send_friend">>]),
    %% Listed, and nobody there.
    [{4, 1, {process, <<"no process is registered as 'py_send_absent'">>}} = py_client:call(Socket, send, [<<"py_send_absent">>, x]) || Socket <- channels()],
    [{3, 1, none} = py_client:call(Socket, 'whereis', [<<"py_send_absent">>]) || Socket <- channels()],
    values_pass().

names_of_other_kinds(_) ->
    friend_alone([py_send_friend, <<"py_send_friend">>]),
    {Socket, _} = py_client:thread(),
    {3, 1, none} = py_client:call(Socket, 'whereis', [<<"žluť"/utf8>>]).

friend_alone(Friends) ->
    Pid = self(),
    [begin
        {3, 1, ok} = py_client:call(Socket, send, [Friend, Friend]),
        receive Friend -> ok after 0 -> error({not_sent, Friend}) end,
        {3, 1, Pid} = py_client:call(Socket, 'whereis', [Friend])
     end || Socket <- channels(), Friend <- Friends],
    refused(<<"allows registered names alone">>, [self(), remote(), whereis(init)]),
    refused(<<"does not list that name">>, [init, <<"init">>, <<"no such name">>, py_coordinator]).

%% The error names the setting; nothing arrives, not by casts either.
refused(Why, Dests) ->
    [begin
        {4, 1, {refused, Text}} = py_client:call(Socket, send, [Dest, {forbidden, Dest}]),
        ?assertNotEqual({Text, nomatch}, {Text, binary:match(Text, <<"the node's setting send ", Why/binary>>)}),
        cast(Socket, send, [Dest, {forbidden, Dest}]),
        is_pid(Dest) orelse begin
            {4, 1, {refused, Whereis}} = py_client:call(Socket, 'whereis', [Dest]),
            ?assertNotEqual({Whereis, nomatch}, {Whereis, binary:match(Whereis, <<"the node's setting send ", Why/binary>>)})
        end,
        %% {Name, Node} is no destination at all.
        {4, 1, {bad_term, _}} = py_client:call(Socket, send, [{Dest, node()}, {forbidden, Dest}])
     end || Socket <- channels(), Dest <- Dests],
    receive {forbidden, _} = Message -> error(Message) after 0 -> ok end.

%% A pid stays a value: it comes and goes.
values_pass() ->
    {Socket, Handler} = py_client:thread(),
    [{3, 1, Value} = py_client:call(Socket, <<"echo">>, [Value]) || Value <- [self(), {remote(), [self()]}, fun erlang:abs/1]],
    {3, 1, Handler} = py_client:call(Socket, <<"whoami">>, []).

channels() ->
    {Thread, _} = py_client:thread(),
    {Async, _} = py_client:async(),
    [Thread, Async].

%% Done, once a call made after it is answered; casts of an async channel run beside its calls.
cast(Socket, Target, Args) ->
    py_client:send_frame(Socket, 5, 1, term_to_binary({Target, Args})),
    {3, 1, 42} = py_client:call(Socket, <<"double_it">>, [21]).

remote() ->
    binary_to_term(<<131, 88, 119, 14, "nobody@nowhere", 77:32, 0:32, 5:32>>).

%% From real Python. Each attempt gives None, or the error's type and text.

python_any(_) ->
    [?assertEqual([none || _ <- attempts()], attempt(Dest)) || Dest <- [<<"py_send_friend">>, self()]],
    [receive Way -> ok end || _ <- [name, pid], Way <- attempts()].

python_none(_) ->
    Refused = {<<"Error">>, <<"erlang.send to 'py_send_friend' is refused: the node's setting send allows none">>},
    ?assertEqual([Refused || _ <- attempts()], attempt(<<"py_send_friend">>)),
    [?assertMatch({<<"Error">>, _}, Result) || Result <- attempt(self())],
    ?assertEqual({ok, {<<"Error">>, <<"erlang.whereis to 'init' is refused: the node's setting send allows none">>}},
                 py:eval("attempt(lambda: erlang.whereis('init'))")),
    Me = self(),
    {ok, Me} = py:eval("pid", #{pid => Me}),
    receive Message -> error(Message) after 0 -> ok end.

python_names(_) ->
    ?assertEqual([none || _ <- attempts()], attempt(<<"py_send_friend">>)),
    [receive Way -> ok end || Way <- attempts()],
    Refused = {<<"Error">>, <<"erlang.send to 'init' is refused: the node's setting send does not list that name">>},
    ?assertEqual([Refused || _ <- attempts()], attempt(<<"init">>)),
    [?assertMatch({<<"Error">>, <<"erlang.send to <", _/binary>>}, Result) || Result <- attempt(self())],
    receive Message -> error(Message) after 0 -> ok end.

attempts() -> [<<"context">>, <<"thread">>, <<"nested">>, <<"asyncio">>].

attempt(Dest) ->
    ok = py:exec("
import asyncio, erlang, threading

def attempt(do):
    try:
        return do()
    except RuntimeError as e:
        return type(e).__name__, str(e)

def in_thread(do):
    results = []
    thread = threading.Thread(target=lambda: results.append(attempt(do)))
    thread.start()
    thread.join()
    return results[0]

async def in_task(dest):
    return await asyncio.to_thread(attempt, lambda: erlang.send(dest, 'asyncio'))

def attempts(dest):
    return [
        attempt(lambda: erlang.send(dest, 'context')),
        in_thread(lambda: erlang.send(dest, 'thread')),
        erlang.call('nested_send', dest, 'nested'),
        asyncio.run(in_task(dest)),
    ]
"),
    {ok, Results} = py:call('__main__', attempts, [Dest]),
    Results.
