%% Python's iterables, as lists and item by item, with a real host.
-module(py_stream_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        list, keywords, expression, own_generator, other_messages_stay, list_fails, list_in_function,
        items, items_in_order, empty, keyword_option, owner_option, fails_at_once, fails_midway, item_without_term,
        cancel, cancel_finished, cancel_before_it_begins, owner_dies, many_at_once,
        collector_dies, collector_dies_in_function, owner_dies_before_it_begins, rows_go
    ].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 2}]),
    Config.

end_per_testcase(_Case, _Config) ->
    py_client:stop_app().

%% As a list

list(_) ->
    {ok, [0, 1, 2, 3, 4]} = py:stream(builtins, range, [5]),
    {ok, []} = py:stream(builtins, range, [0]),
    {ok, [{0, <<"a">>}, {1, <<"b">>}]} = py:stream("builtins", <<"enumerate">>, [<<"ab">>]).

keywords(_) ->
    {ok, [{5, <<"a">>}]} = py:stream(builtins, enumerate, [[<<"a">>]], #{start => 5}).

expression(_) ->
    {ok, [0, 1, 4]} = py:stream_eval("(x * x for x in range(3))"),
    {ok, [7, 8]} = py:stream_eval(<<"(x + n for x in range(2))">>, #{n => 7}).

own_generator(_) ->
    ok = py:exec("def count(n):\n    for i in range(n): yield i\n"),
    {ok, [0, 1, 2]} = py:stream('__main__', count, [3]),
    {ok, Ref} = py:stream_start('__main__', count, [2]),
    {[0, 1], done} = receive_all(Ref).

other_messages_stay(_) ->
    self() ! mine,
    self() ! {py_stream, make_ref(), {data, 0}},
    {ok, [1]} = py:stream_eval("[1]"),
    receive mine -> ok after 0 -> ct:fail(lost) end,
    receive {py_stream, _, {data, 0}} -> ok after 0 -> ct:fail(lost) end,
    empty_mailbox().

list_fails(_) ->
    {error, {'TypeError', <<"'int' object is not iterable">>}} = py:stream_eval("1"),
    {error, {'ZeroDivisionError', _}} = py:stream_eval("(1 // x for x in [1, 0])"),
    {error, {'ModuleNotFoundError', _}} = py:stream(no_such_module, f, []),
    ?assertError(badarg, py:stream(1, f, [])),
    empty_mailbox().

%% From a registered function, on the thread that waits for it.
list_in_function(_) ->
    ok = py:register_function(items, fun([]) -> {ok, Items} = py:stream_eval("(f() for f in [__import__('threading').get_ident] * 2)"), Items end),
    {ok, {Id, [Id, Id]}} = py:eval("(__import__('threading').get_ident(), __import__('erlang').call('items'))").

%% Item by item

items(_) ->
    {ok, Ref} = py:stream_start(builtins, iter, [[1, 2, 3]]),
    [receive {py_stream, Ref, Event} -> ok end || Event <- [{data, 1}, {data, 2}, {data, 3}, done]],
    empty_mailbox().

items_in_order(_) ->
    {ok, Ref} = py:stream_start(builtins, range, [5000]),
    {Items, done} = receive_in_order(Ref),
    ?assertEqual(lists:seq(0, 4999), Items).

empty(_) ->
    {ok, Ref} = py:stream_start(builtins, iter, [[]]),
    {[], done} = receive_all(Ref).

keyword_option(_) ->
    {ok, Ref} = py:stream_start(builtins, enumerate, [[<<"a">>]], #{kwargs => #{start => 5}}),
    {[{5, <<"a">>}], done} = receive_all(Ref).

owner_option(_) ->
    Me = self(),
    Owner = spawn_link(fun() -> receive {go, Ref} -> Me ! {owner, receive_all(Ref)} end end),
    {ok, Ref} = py:stream_start(builtins, range, [3], #{owner => Owner}),
    Owner ! {go, Ref},
    receive {owner, Got} -> ?assertEqual({[0, 1, 2], done}, Got) end,
    empty_mailbox().

fails_at_once(_) ->
    {ok, Ref} = py:stream_start(builtins, int, [<<"x">>]),
    {[], {error, {'ValueError', _}}} = receive_all(Ref),
    {ok, Other} = py:stream_start(builtins, int, [1]),
    {[], {error, {'TypeError', <<"'int' object is not iterable">>}}} = receive_all(Other).

fails_midway(_) ->
    ok = py:exec("def bad():\n    yield 1\n    yield 2\n    raise ValueError('enough')\n"),
    {ok, Ref} = py:stream_start('__main__', bad, []),
    {[1, 2], {error, {'ValueError', <<"enough">>}}} = receive_all(Ref).

item_without_term(_) ->
    {ok, Ref} = py:stream_start(builtins, iter, [[1]]),
    {[1], done} = receive_all(Ref),
    {error, {'TypeError', Text}} = py:stream_eval("[1, {2}]"),
    ?assertNotEqual(nomatch, binary:match(Text, <<"set">>)).

%% Its clean-up runs at once, and not when somebody collects it.
cancel(_) ->
    Me = self(),
    ok = py:register_function(closed, fun([]) -> Me ! closed end),
    ok = py:exec("import erlang, itertools\n"
                 "def forever():\n"
                 "    try:\n"
                 "        yield from itertools.count()\n"
                 "    finally:\n"
                 "        erlang.call('closed')\n"),
    {ok, Ref} = py:stream_start('__main__', forever, []),
    receive {py_stream, Ref, {data, 10}} -> ok end,
    ok = py:stream_cancel(Ref),
    {_, {error, cancelled}} = receive_all(Ref),
    receive closed -> ok after 0 -> ct:fail(not_closed) end,
    ok = py:stream_cancel(Ref),
    empty_mailbox(),
    idle(2).

cancel_finished(_) ->
    {ok, Ref} = py:stream_start(builtins, range, [1]),
    {[0], done} = receive_all(Ref),
    ok = py:stream_cancel(Ref),
    ok = py:stream_cancel(make_ref()),
    empty_mailbox().

cancel_before_it_begins(_) ->
    {ok, Ref} = py:stream_start(itertools, count, []),
    ok = py:stream_cancel(Ref),
    {_, {error, cancelled}} = receive_all(Ref),
    idle(2).

owner_dies(_) ->
    Me = self(),
    ok = py:register_function(closed, fun([]) -> Me ! closed end),
    {Owner, Monitor} = spawn_monitor(fun() ->
        ok = py:exec("import erlang, time\n"
                     "def slow():\n"
                     "    try:\n"
                     "        yield 1\n"
                     "        while True: time.sleep(0.001)\n"
                     "    finally:\n"
                     "        erlang.call('closed')\n"),
        {ok, Ref} = py:stream_start('__main__', slow, []),
        receive {py_stream, Ref, {data, 1}} -> Me ! begun end,
        receive after infinity -> ok end
    end),
    receive begun -> exit(Owner, kill) end,
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    %% Although it does not come to its next item.
    receive closed -> ok end,
    idle(2).

many_at_once(_) ->
    Refs = [begin {ok, Ref} = py:stream_start(builtins, range, [100]), Ref end || _ <- lists:seq(1, 20)],
    [?assertEqual({lists:seq(0, 99), done}, receive_all(Ref)) || Ref <- Refs],
    empty_mailbox().

%% Python's iteration ends with the process waiting for the list, and nothing of it stays.
collector_dies(_) ->
    Me = self(),
    ok = py:register_function(tell_me, fun([What]) -> Me ! What end),
    {Collector, Monitor} = spawn_monitor(fun() ->
        ok = py:exec(slow()),
        py:stream('__main__', slow, [])
    end),
    receive <<"begun">> -> exit(Collector, kill) end,
    receive {'DOWN', Monitor, _, _, killed} -> ok end,
    receive <<"closed">> -> ok end,
    idle(2),
    no_rows().

%% The same for a function of a waiting Python thread.
collector_dies_in_function(_) ->
    Me = self(),
    ok = py:register_function(tell_me, fun([What]) -> Me ! What end),
    ok = py:register_function(collect, fun([]) -> Me ! {collector, self()}, py:stream('__main__', slow, []) end),
    ok = py:exec(slow()),
    ok = py:exec("def outer(): return erlang.call('collect')\n"),
    Ref = py:spawn_call('__main__', outer, []),
    Collector = receive {collector, Pid} -> Pid end,
    receive <<"begun">> -> exit(Collector, kill) end,
    {error, {'CallError', <<"exit: killed", _/binary>>}} = py:await(Ref),
    receive <<"closed">> -> ok end,
    idle(2),
    no_rows().

%% The owner is another process, ended already.
owner_dies_before_it_begins(_) ->
    {Owner, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    {ok, _} = py:stream_start(itertools, count, [], #{owner => Owner}),
    idle(2),
    no_rows().

rows_go(_) ->
    {ok, [1]} = py:stream_eval("[1]"),
    {error, _} = py:stream_eval("1"),
    {ok, Ref} = py:stream_start(builtins, iter, [[1]]),
    {[1], done} = receive_all(Ref),
    {ok, Bad} = py:stream_start(builtins, int, [1]),
    {[], {error, _}} = receive_all(Bad),
    ?assertError(badarg, py:stream(1, f, [])),
    ?assertError(badarg, py:stream_start(1, f, [])),
    no_rows().

%% Helpers

%% A generator; it tells of its start and its end.
slow() ->
    "import erlang, time\n"
    "def slow():\n"
    "    try:\n"
    "        yield 1\n"
    "        erlang.call('tell_me', 'begun')\n"
    "        while True: time.sleep(0.001)\n"
    "    finally:\n"
    "        erlang.call('tell_me', 'closed')\n".

no_rows() ->
    case ets:info(py_stream, size) of
        0 -> ok;
        _ -> timer:sleep(5), no_rows()
    end.

receive_all(Ref) -> receive_all(Ref, []).

receive_all(Ref, Items) ->
    receive
        {py_stream, Ref, {data, Item}} -> receive_all(Ref, [Item | Items]);
        {py_stream, Ref, End} -> {lists:reverse(Items), End}
    end.

%% Whatever comes next, so that an end before the last item is seen.
receive_in_order(Ref) ->
    receive
        {py_stream, Ref, {data, Item}} -> {Items, End} = receive_in_order(Ref), {[Item | Items], End};
        {py_stream, Ref, End} -> {[], End}
    end.

empty_mailbox() ->
    receive Message -> ct:fail({unexpected, Message}) after 0 -> ok end.

idle(Count) ->
    case py:stats() of
        {ok, #{contexts_idle := Count}} -> ok;
        _ -> timer:sleep(5), idle(Count)
    end.
