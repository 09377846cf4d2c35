%% Programs as a user of erlang_python 4.x has them: the module py. Contexts and interrupts: py_compat_context_SUITE; what Python
%% does: py_compat_python_SUITE.
-module(py_compat_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        calls, expressions, statements, statements_have_no_limit, failures, values, reentrance, timeouts,
        spawned_calls, casts,
        streams, stream_events, stream_of_owner, stream_cancelled, stream_fails, async_streams, async_stream_cancelled,
        state, logging, logging_format, logging_from_thread, memory, tracing_memory
    ].

init_per_testcase(_Case, Config) ->
    py_client:start_app([{hosts, 1}, {contexts, 2}]),
    {ok, [_, _]} = py:start_contexts(),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = logger:remove_handler(?MODULE),
    ok = logger:set_primary_config(level, notice),
    py_client:stop_app().

%% Calls, expressions, statements

calls(_) ->
    {ok, 4.0} = py:call(math, sqrt, [16]),
    {ok, 720} = py:call("math", <<"factorial">>, [6]),
    {ok, <<"{\"name\": \"Ada\"}">>} = py:call(json, dumps, [#{name => <<"Ada">>}]),
    {ok, <<"{\n \"a\": 1,\n \"b\": 2\n}">>} = py:call(json, dumps, [#{b => 2, a => 1}], #{indent => 1, sort_keys => true}),
    {ok, #{<<"x">> := [1, 2.5, none]}} = py:call(json, loads, [<<"{\"x\": [1, 2.5, null]}">>], #{}, 5000),
    {ok, <<"3.", _/binary>>} = py:version().

expressions(_) ->
    {ok, 42} = py:eval(<<"21 * 2">>),
    {ok, 42} = py:eval("x * y", #{x => 6, y => 7}),
    {ok, [3, 6]} = py:eval(<<"list(map(lambda n, by=by: n * by, items))">>, #{items => [1, 2], by => 3}),
    {ok, <<"blue">>} = py:eval(<<"shop['sky']['colour']">>, #{shop => #{sky => #{colour => <<"blue">>}}}, 5000),
    %% Text as it stands between quotes in a module, and the module `erlang' without an import.
    {ok, 9} = py:eval(<<"
(lambda: (
    (seen := [2, 3, 4]),
    sum(seen)
)[-1])()
">>),
    ok = py:register_function(add, fun([A, B]) -> A + B end),
    {ok, 12} = py:eval(<<"erlang.call('add', 5, 7)">>),
    {ok, 12} = py:eval(<<"erlang.add(5, n)">>, #{n => 7}).

statements(_) ->
    ok = py:register_function(<<"add">>, fun([A, B]) -> A + B end),
    ok = py:exec(<<"
from erlang import add
total = 0

def book(amount):
    global total
    total = add(total, amount)
    return total
">>),
    {ok, 5} = py:call('__main__', book, [5]),
    {ok, 12} = py:call('__main__', book, [7]),
    {ok, 12} = py:eval(<<"total">>),
    ok = py:exec("total = erlang.add(total, 1)"),
    {ok, 13} = py:eval(<<"total">>).

%% It cannot be given one, so that training a model takes as long as it takes.
statements_have_no_limit(_) ->
    Me = self(),
    Tracer = spawn_link(fun Loop() -> receive Trace -> Me ! Trace, Loop() end end),
    1 = erlang:trace_pattern({py_contexts, run, 2}, true, []),
    1 = erlang:trace(Me, true, [call, {tracer, Tracer}]),
    ok = py:exec(<<"1">>),
    receive {trace, Me, call, {py_contexts, run, [_, Limit]}} -> infinity = Limit end,
    ok = py:exec(py:context(1), <<"1">>),
    receive {trace, Me, call, {py_contexts, run, [_, Limit2]}} -> infinity = Limit2 end,
    1 = erlang:trace(Me, false, [all]),
    ok.

failures(_) ->
    {error, {'NameError', _}} = py:eval(<<"no_such_name">>),
    {error, {'SyntaxError', _}} = py:eval(<<"if True">>),
    {error, {'ZeroDivisionError', Text}} = py:eval(<<"1 / 0">>),
    "division by zero" = unicode:characters_to_list(Text),
    {error, {'ModuleNotFoundError', _}} = py:call(no_such_module, f, []),
    {error, {'AttributeError', _}} = py:call(math, no_such_function, []),
    {error, {'ValueError', _}} = py:exec(<<"int('x')">>),
    ok = py:register_function(fail, fun([]) -> error(on_purpose) end),
    {error, {_, _}} = py:eval(<<"erlang.fail()">>),
    {ok, 2} = py:eval(<<"1 + 1">>).

values(_) ->
    [{ok, Term} = py:eval(Code) || {Code, Term} <- [
        {"42", 42}, {"2 ** 100", 1 bsl 100}, {"3.14", 3.14}, {"'text'", <<"text">>}, {"b'\\x00\\xff'", <<0, 255>>},
        {"True", true}, {"False", false}, {"None", none}, {"[1, [2]]", [1, [2]]}, {"(1, 'a')", {1, <<"a">>}},
        {"{'a': {'b': [(1, 2)]}}", #{<<"a">> => #{<<"b">> => [{1, 2}]}}},
        {"float('nan')", nan}, {"float('inf')", infinity}, {"float('-inf')", neg_infinity}
    ]],
    [{ok, Repr} = py:call(builtins, repr, [Term]) || {Term, Repr} <- [
        {foo, <<"'foo'">>}, {undefined, <<"None">>}, {nil, <<"None">>}, {none, <<"None">>}, {true, <<"True">>},
        {<<"é"/utf8>>, <<"'é'"/utf8>>}, {{1, [2.0]}, <<"(1, [2.0])">>}, {#{a => b}, <<"{'a': 'b'}">>}
    ]].

%% Erlang calls Python calls Erlang.
reentrance(_) ->
    ok = py:register_function(level, fun
        ([N, N]) -> N;
        ([Level, N]) ->
            {ok, Deepest} = py:eval(io_lib:format("erlang.call('level', ~b, ~b)", [Level + 1, N])),
            Deepest
    end),
    {ok, 8} = py:eval(<<"__import__('erlang').call('level', 1, 8)">>).

timeouts(_) ->
    {error, timeout} = py:eval(<<"__import__('time').sleep(1)">>, #{}, 50),
    {error, timeout} = py:call(time, sleep, [1], #{}, 50),
    {error, timeout} = py:eval(<<"sum(1 for _ in iter(int, 1))">>, #{}, 50),
    {ok, 45} = py:eval(<<"sum(range(10))">>, #{}, 5000),
    {messages, []} = process_info(self(), messages).

%% Without waiting

spawned_calls(_) ->
    Refs = [py:spawn_call(math, factorial, [N]) || N <- [3, 4, 5]],
    [{ok, 6}, {ok, 24}, {ok, 120}] = [py:await(Ref, 5000) || Ref <- Refs],
    {ok, 255} = py:await(py:spawn_call(builtins, int, [<<"ff">>], #{base => 16})),
    {ok, 2.0} = py:await(py:spawn_call(py:context(2), math, sqrt, [4])),
    {error, {'ValueError', _}} = py:await(py:spawn_call(math, sqrt, [-1])),
    Ref = py:spawn_call(math, sqrt, [81]),
    receive {py_response, Ref, {ok, 9.0}} -> ok end,
    {error, timeout} = py:await(make_ref(), 0).

casts(_) ->
    ok = py:cast(erlang, send, [self(), {<<"result">>, 1}]),
    receive {<<"result">>, 1} -> ok end,
    ok = py:cast(py:context(1), erlang, send, [self(), <<"from a context">>]),
    receive <<"from a context">> -> ok end,
    ok = py:exec(<<"def tell(pid, word='?'): erlang.send(pid, word)">>),
    ok = py:cast('__main__', tell, [self()], #{word => <<"hello">>}),
    receive <<"hello">> -> ok end.

%% Streams

streams(_) ->
    {ok, [0, 1, 4, 9]} = py:stream_eval(<<"(x ** 2 for x in range(4))">>),
    {ok, [<<"A">>, <<"B">>]} = py:stream_eval("(c.upper() for c in word)", #{word => <<"ab">>}),
    {ok, [{<<"a">>, 1}]} = py:stream_eval(<<"iter({'a': 1}.items())">>),
    {ok, [3, 4]} = py:stream_eval(<<"filter(lambda x: x > 2, [1, 2, 3, 4])">>),
    {ok, [1, 2]} = py:stream(builtins, iter, [[1, 2]]),
    {ok, [{1, <<"a">>}, {2, <<"b">>}]} = py:stream(builtins, enumerate, [[<<"a">>, <<"b">>]], #{start => 1}),
    ok = py:exec(<<"
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        yield a
        a, b = b, a + b
">>),
    {ok, [0, 1, 1, 2, 3, 5, 8]} = py:stream('__main__', fibonacci, [7]),
    {error, {'ZeroDivisionError', _}} = py:stream_eval(<<"(1 // x for x in [1, 0])">>).

stream_events(_) ->
    {ok, Ref} = py:stream_start(builtins, range, [1000]),
    {Events, done} = collect(Ref),
    ?assertEqual(lists:seq(0, 999), Events),
    {ok, Empty} = py:stream_start(builtins, iter, [[]]),
    {[], done} = collect(Empty).

stream_of_owner(_) ->
    Me = self(),
    Owner = spawn_link(fun() -> receive {collect, Ref} -> Me ! {self(), collect(Ref)} end end),
    {ok, Ref} = py:stream_start(builtins, iter, [[10, 20]], #{owner => Owner}),
    Owner ! {collect, Ref},
    receive {Owner, Collected} -> {[10, 20], done} = Collected end.

stream_cancelled(_) ->
    {ok, Ref} = py:stream_start(itertools, count, []),
    receive {py_stream, Ref, {data, 0}} -> ok end,
    ok = py:stream_cancel(Ref),
    {_, {error, cancelled}} = collect(Ref).

stream_fails(_) ->
    {ok, Ref} = py:stream_start(builtins, no_such_function, []),
    {[], {error, {'AttributeError', _}}} = collect(Ref),
    {ok, Ref2} = py:stream_start(builtins, map, [none, [1]]),
    {[], {error, {'TypeError', _}}} = collect(Ref2).

-define(TICKS, <<"
import asyncio

async def ticks(n, pid=None):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        if pid is not None:
            erlang.send(pid, 'closed')
">>).

async_streams(_) ->
    ok = py:exec(?TICKS),
    {ok, [0, 1, 2]} = py:stream('__main__', ticks, [3]),
    {ok, [0, 1]} = py:stream_eval(<<"ticks(2)">>),
    {ok, Ref} = py:stream_start('__main__', ticks, [2], #{kwargs => #{pid => self()}}),
    {[0, 1], done} = collect(Ref),
    receive <<"closed">> -> ok end.

async_stream_cancelled(_) ->
    ok = py:exec(?TICKS),
    {ok, Ref} = py:stream_start('__main__', ticks, [1 bsl 62, self()]),
    receive {py_stream, Ref, {data, 0}} -> ok end,
    ok = py:stream_cancel(Ref),
    {_, {error, cancelled}} = collect(Ref),
    receive <<"closed">> -> ok end.

%% The rest

state(_) ->
    ok = py:state_store(<<"config">>, #{api_key => <<"secret">>, tries => 3}),
    ok = py:exec(<<"
from erlang import state_get, state_set, state_delete, state_keys, state_incr, state_decr
config = state_get('config')
state_set('mine', {'data': [1, 2], 'key': config['api_key']})
counts = (state_incr('hits'), state_incr('hits', 10), state_decr('hits'))
state_set('gone', 1)
state_delete('gone')
">>),
    {ok, {1, 11, 10}} = py:eval(<<"counts">>),
    {ok, #{<<"data">> := [1, 2], <<"key">> := <<"secret">>}} = py:state_fetch(<<"mine">>),
    [11, 16, 15, 10] = [py:state_incr(<<"hits">>), py:state_incr(<<"hits">>, 5), py:state_decr(<<"hits">>), py:state_decr(<<"hits">>, 5)],
    {error, not_found} = py:state_fetch(<<"gone">>),
    {ok, none} = py:eval(<<"state_get('gone')">>),
    [<<"config">>, <<"hits">>, <<"mine">>] = lists:sort(py:state_keys()),
    ok = py:state_remove(<<"config">>),
    {ok, [<<"hits">>, <<"mine">>]} = py:eval(<<"sorted(state_keys())">>),
    ok = py:state_clear(),
    [] = py:state_keys().

logging(_) ->
    listen(),
    ok = py:configure_logging(),
    {ok, none} = py:eval(<<"__import__('logging').debug('from %s', 'Python')">>),
    {debug, "from Python"} = logged(),
    ok = py:configure_logging(#{level => warning}),
    ok = py:exec(<<"
import logging
logging.info('not this')
logging.warning('this')
logging.critical('and this')
">>),
    {warning, "this"} = logged(),
    {critical, "and this"} = logged().

logging_format(_) ->
    listen(),
    ok = py:configure_logging(#{level => info, format => <<"%(name)s - %(levelname)s - %(message)s">>}),
    {ok, none} = py:eval(<<"__import__('logging').getLogger('till').info('open')">>),
    {info, "till - INFO - open"} = logged(),
    ok = py:configure_logging(#{format => "%(message)s!"}),
    {ok, none} = py:eval(<<"__import__('logging').debug('shut')">>),
    {debug, "shut!"} = logged(),
    ok = py:configure_logging(#{level => info}),
    {ok, none} = py:eval(<<"__import__('logging').info('plain')">>),
    {info, "plain"} = logged().

logging_from_thread(_) ->
    listen(),
    ok = py:configure_logging(#{level => info}),
    ok = py:exec(<<"
import logging, threading
thread = threading.Thread(target=lambda: logging.info('from a thread'))
thread.start()
thread.join()
">>),
    {info, "from a thread"} = logged().

memory(_) ->
    {ok, #{gc_stats := [#{<<"collections">> := _} | _], gc_count := {_, _, _}, gc_threshold := {_, _, _}}} = py:memory_stats(),
    %% What is garbage now has been there for long, and is of the oldest generation.
    Age = fun() ->
        ok = py:exec(<<"
import gc
gc.disable()
old = []
for _ in range(50):
    old.append([])
    old[-1].append(old[-1])
gc.collect()
old = None
">>)
    end,
    ok = Age(),
    {ok, None} = py:gc(0),
    {ok, NoneYet} = py:gc(1),
    {ok, All} = py:gc(2),
    ?assert(None < 50 andalso NoneYet < 50 andalso All >= 50),
    ok = Age(),
    {ok, AllAgain} = py:gc(),
    ?assert(AllAgain >= 50),
    ?assertError(function_clause, py:gc(3)).

tracing_memory(_) ->
    {ok, Before} = py:memory_stats(),
    ?assertNot(is_map_key(traced_memory_current, Before)),
    ok = py:tracemalloc_start(),
    ok = py:exec(<<"kept = bytearray(1_000_000)">>),
    {ok, #{traced_memory_current := Current, traced_memory_peak := Peak}} = py:memory_stats(),
    ?assert(Peak >= Current andalso Current >= 1000000),
    ok = py:tracemalloc_stop(),
    {ok, After} = py:memory_stats(),
    ?assertNot(is_map_key(traced_memory_current, After)),
    ok = py:tracemalloc_start(10),
    {ok, 10} = py:eval(<<"__import__('tracemalloc').get_traceback_limit()">>),
    ok = py:tracemalloc_stop().

%% Helpers

collect(Ref) ->
    receive
        {py_stream, Ref, {data, Value}} -> {Values, End} = collect(Ref), {[Value | Values], End};
        {py_stream, Ref, End} -> {[], End}
    end.

listen() ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => all, config => self()}),
    ok = logger:set_primary_config(level, all).

log(#{meta := #{python_logger := _}} = Event, #{config := Pid}) -> Pid ! {logged, Event};
log(_Event, _Config) -> ok.

logged() ->
    receive {logged, #{level := Level, msg := {string, Text}}} -> {Level, unicode:characters_to_list(Text)} end.
