%% The functions that tests call from Python, one list of arguments each. The Go tests have the same under the same names, as far as Go
%% can do them; the last group only an Erlang node can.
-module(py_peer).

-export([double_it/1, add_one/1, my_function/1, echo/1, args/1, sleep/1, sleep_random/1, whoami/1]).
-export([big/1, nested/1, size/1, blob/1]).
-export([maybe_fail/1, fail_error/1, fail_unicode/1]).
-export([fail_exit/1, fail_throw/1, bad_match/1, kill_me/1, kill_channel/1]).
-export([make_fun/1, make_port/1, make_ref_/1, make_improper/1, make_bits/1, latin1_atom/1, weird_map/1, clash_map/1]).
-export([chain/1, die_at/1, kill_channel_at/1]).
-export([hang/1, fate/1, note/1, noted/1, call_python/1, eval_python/1]).
-export([mailbox/1, mail/1, close_mailbox/1, remote_pid/1, busy/1]).
-export([living/1]).
-export([register/0]).

%% Registers them all.
-spec register() -> ok.
register() ->
    Names = [Name || {Name, 1} <- ?MODULE:module_info(exports), Name =/= module_info],
    lists:foreach(fun(Name) -> ok = py:register_function(Name, ?MODULE, Name) end, Names).

-spec double_it([term()]) -> number().
double_it([X]) -> X * 2.

-spec add_one([term()]) -> number().
add_one([X]) -> X + 1.

-spec my_function([term()]) -> {term(), term()}.
my_function([A, B]) -> {A, B}.

-spec echo([term()]) -> term().
echo([X]) -> X.

-spec args([term()]) -> [term()].
args(Args) -> Args.

-spec sleep([term()]) -> non_neg_integer().
sleep([Ms]) -> timer:sleep(Ms), Ms.

-spec sleep_random([term()]) -> term().
sleep_random([Max, X]) -> timer:sleep(rand:uniform(Max + 1) - 1), X.

-spec whoami([term()]) -> pid().
whoami([]) -> self().

%% An integer of 10,000 digits.
-spec big([term()]) -> integer().
big([]) -> binary_to_integer(binary:copy(<<"1234567890">>, 1000)).

-spec nested([term()]) -> list().
nested([N]) -> lists:foldl(fun(_, List) -> [List] end, [], lists:seq(2, N)).

-spec size([term()]) -> non_neg_integer().
size([Binary]) -> byte_size(Binary).

-spec blob([term()]) -> binary().
blob([N]) -> binary:copy(<<$x>>, N).

-spec maybe_fail([term()]) -> term().
maybe_fail([42]) -> error(<<"maybe_fail: 42">>);
maybe_fail([X]) -> X.

-spec fail_error([term()]) -> no_return().
fail_error([]) -> error(badarith).

-spec fail_unicode([term()]) -> no_return().
fail_unicode([]) -> error({reason, <<"žluťoučký ✓"/utf8>>}).

-spec fail_exit([term()]) -> no_return().
fail_exit([]) -> exit(bye).

-spec fail_throw([term()]) -> no_return().
fail_throw([]) -> throw(ball).

-spec bad_match([term()]) -> term().
bad_match([X]) -> {ok, Y} = X, Y.

%% Kills the async channel of the submitted call that runs it, which has started this process.
-spec kill_channel([term()]) -> no_return().
kill_channel([]) ->
    {parent, Channel} = process_info(self(), parent),
    exit(Channel, kill),
    receive never -> ok end.

-spec kill_me([term()]) -> no_return().
kill_me([]) -> exit(self(), kill), receive after infinity -> ok end.

-spec make_fun([term()]) -> fun().
make_fun([]) -> fun(X) -> X end.

-spec make_port([term()]) -> port().
make_port([]) -> hd(erlang:ports()).

-spec make_ref_([term()]) -> reference().
make_ref_([]) -> make_ref().

-spec make_improper([term()]) -> maybe_improper_list().
make_improper([]) -> [1, 2 | 3].

-spec make_bits([term()]) -> bitstring().
make_bits([]) -> <<5:3>>.

-spec latin1_atom([term()]) -> atom().
latin1_atom([]) -> 'caf\x{e9}'.

-spec weird_map([term()]) -> map().
weird_map([]) -> #{#{} => 1}.

%% Two keys for Erlang, one for Python.
-spec clash_map([term()]) -> map().
clash_map([]) -> #{1 => a, 1.0 => b}.

%% One of the calls 1 to Last under Key: each waits for the next one, and the last for none.
-spec chain([term()]) -> pos_integer().
chain([[Key, N, Last]]) ->
    true = register(link_name(Key, N), self()),
    case N of
        Last -> ok;
        _ -> receive {chain, Key} -> ok end
    end,
    pass(Key, N - 1),
    N.

-spec pass(binary(), non_neg_integer()) -> ok.
pass(_Key, 0) ->
    ok;
pass(Key, N) ->
    case whereis(link_name(Key, N)) of
        undefined -> erlang:yield(), pass(Key, N);
        Pid -> Pid ! {chain, Key}, ok
    end.

-spec link_name(binary(), pos_integer()) -> atom().
link_name(Key, N) -> binary_to_atom(<<"chain ", Key/binary, $\s, (integer_to_binary(N))/binary>>).

%% Itself, but for 42, which is the end of the process.
-spec die_at([term()]) -> term().
die_at([42]) -> kill_me([]);
die_at([X]) -> X.

-spec kill_channel_at([term()]) -> term().
kill_channel_at([42]) -> kill_channel([]);
kill_channel_at([X]) -> X.

%% Never returns, but for an empty key. What became of it is told by fate/1.
-spec hang([term()]) -> none | no_return().
hang([<<>>]) ->
    none;
hang([Key]) ->
    Hanging = self(),
    {Watcher, Monitor} = spawn_monitor(fun() -> watch(Hanging, Key) end),
    receive
        {watching, Watcher} -> demonitor(Monitor, [flush])
    end,
    receive after infinity -> ok end.

-spec watch(pid(), term()) -> ok.
watch(Hanging, Key) ->
    Monitor = monitor(process, Hanging),
    persistent_term:put({?MODULE, fate, Key}, <<"running">>),
    Hanging ! {watching, self()},
    receive
        {'DOWN', Monitor, process, Hanging, _} -> persistent_term:put({?MODULE, fate, Key}, <<"ended">>)
    end.

%% What became of hang(Key): none, <<"running">> or <<"ended">>.
-spec fate([term()]) -> none | binary().
fate([Key]) -> persistent_term:get({?MODULE, fate, Key}, none).

%% Adds to the notes under Key. By one process at a time.
-spec note([term()]) -> ok.
note([Key, Value]) ->
    Notes = noted([Key]),
    persistent_term:put({?MODULE, notes, Key}, Notes ++ [Value]).

-spec noted([term()]) -> [term()].
noted([Key]) -> persistent_term:get({?MODULE, notes, Key}, []).

-spec call_python([term()]) -> term().
call_python([Module, Function, Args]) -> value(py:call(Module, Function, Args)).

-spec eval_python([term()]) -> term().
eval_python([Code]) -> value(py:eval(Code)).

-spec value({ok, term()} | {error, term()}) -> term().
value({ok, Value}) -> Value;
value({error, Reason}) -> error(Reason).

%% A process that keeps its messages, registered when it is given a name.
-spec mailbox([term()]) -> pid().
mailbox(Name) ->
    Pid = spawn(fun() -> receive stop -> ok end end),
    lists:foreach(fun(N) -> register(binary_to_atom(N), Pid) end, Name),
    Pid.

%% Its messages so far.
-spec mail([term()]) -> [term()].
mail([Pid]) ->
    {messages, Messages} = process_info(Pid, messages),
    Messages.

-spec close_mailbox([term()]) -> ok.
close_mailbox([Pid]) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, _} -> ok
    end.

%% A process of a node that nobody has heard of.
-spec remote_pid([term()]) -> pid().
remote_pid([]) -> binary_to_term(<<131, 88, 119, 11, "other@hosts", 93:32, 3:32, 16#5f000000:32>>).

%% Takes so many microseconds, awake.
-spec busy([term()]) -> ok.
busy([Us]) -> busy_until(erlang:monotonic_time(microsecond) + Us).

-spec busy_until(integer()) -> ok.
busy_until(End) ->
    case erlang:monotonic_time(microsecond) < End of
        true -> busy_until(End);
        false -> ok
    end.

%% How many of these processes are alive.
-spec living([term()]) -> non_neg_integer().
living([Pids]) ->
    length([Pid || Pid <- Pids, is_process_alive(Pid)]).
