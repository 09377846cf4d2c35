%% The pure parts, called directly, and the vectors that all languages share.
-module(py_unit_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {seconds, 30}}].

all() ->
    [
        vectors, pieces, pieces_share, pieces_limit, frame_round_trip, frame_byte_by_byte, frame_refused, text, text_is_bounded, settings, settings_of_each_kind, unknown_settings, admission, admission_of_strangers, handshake,
        pool_grows_for_each_waiting_call, pool_keeps_to_its_limit, pool_serves_in_order, pool_cancels_what_waits,
        pool_interrupts_what_is_cancelled, pool_insists, pool_interrupts, pool_context_ends, pool_is_full, pool_is_full_on_one_host, pool_host_fails, pool_loses_a_host,
        pool_context_ends_before_its_host, pool_has_no_room_on_a_host, pool_stopped_while_joining, queue_is_a_list, deadlock, pool_prefers_last_used,
        pool_spreads_over_hosts, pool_prefers_the_least_busy_host, pool_context_never_comes, host_arguments,
        polls_are_made, polls_are_made_seldom, polls_are_made_again, polls_that_are_off
    ].

%% Vectors

%% OTP 25 has no JSON; the file has one vector a line.
vectors(_) ->
    {ok, Text} = file:read_file(filename:join([root(), "testdata", "vectors.json"])),
    Vectors = [Line || Line <- binary:split(Text, <<"\n">>, [global]), binary:match(Line, <<"\"hex\"">>) =/= nomatch],
    ?assert(length(Vectors) > 100),
    lists:foreach(fun vector/1, Vectors).

vector(Line) ->
    Bytes = field("hex", Line),
    {ok, Term} = py_term:decode(Bytes, create),
    Encoded = py_term:encode(Term),
    ?assertEqual({Line, {ok, Term}}, {Line, py_term:decode(Encoded, create)}),
    %% Later releases write large maps in another order, and ports and funs in newer forms.
    _ = erlang:system_info(otp_release) =/= "25" orelse ?assertEqual({Line, Bytes}, {Line, Encoded}),
    case field("hex1", Line) of
        none -> ok;
        Older -> ?assertEqual({Line, {ok, Term}}, {Line, py_term:decode(Older, create)})
    end.

field(Name, Line) ->
    case re:run(Line, "\"" ++ Name ++ "\": *\"([0-9a-f]*)\"", [{capture, all_but_first, binary}]) of
        {match, [Hex]} -> binary:decode_hex(Hex);
        nomatch -> none
    end.

%% Payloads in pieces

pieces(_) ->
    Large = binary:copy(<<"0123456789abcdef">>, 1024),
    Middle = binary:part(Large, 0, 16#3FFF),
    Terms = [
        7, <<>>, Middle, Large, [Large], {ok, Large, 1, Large}, #{k => [1, #{<<"l">> => {Large}}]}, [Large | Large], [Large, Middle, <<1>>, Middle, Large],
        lists:seq(1, 1000) ++ [Large], lists:duplicate(2000, Middle), [Large | lists:duplicate(1500, Middle)], lists:duplicate(1500, Large),
        maps:from_list([{N, Large} || N <- lists:seq(1, 40)]), list_to_tuple([Large | lists:seq(1, 100)])
    ],
    lists:foreach(fun(Term) ->
        {ok, Payload} = py_term:pieces(Term, 1 bsl 30),
        ?assert(iolist_to_binary(Payload) =:= py_term:encode(Term)),
        ?assertEqual({ok, Term}, py_term:decode(iolist_to_binary(Payload), safe))
    end, Terms),
    ?assertMatch({ok, <<131, _/binary>>}, py_term:pieces({ok, Middle, [Middle, 1]}, 1 bsl 30)),
    ?assertMatch({ok, [<<131, _/binary>>, Large, <<108, _/binary>>, Large, <<106>>]}, py_term:pieces({[], Large, [Large]}, 1 bsl 30)).

%% The pieces are the very binaries of the term.
pieces_share(_) ->
    Large = binary:copy(<<1>>, 10_000_000),
    {ok, Payload} = py_term:pieces([Large, [1, {Large}]], 1 bsl 30),
    {binary, Binaries} = process_info(self(), binary),
    ?assert(lists:sum([Size || {_, Size} <- lists:usort([{Id, Size} || {Id, Size, _} <- Binaries])]) < 12_000_000),
    ?assertEqual(20_000_000, byte_size(Large) + byte_size(lists:nth(2, Payload))).

pieces_limit(_) ->
    Large = binary:copy(<<1>>, 100_000),
    Size = byte_size(py_term:encode([Large])) + 5,
    ?assertMatch({ok, _}, py_term:pieces([Large], Size)),
    ?assertMatch({error, {limit, _}}, py_term:pieces([Large], Size - 1)).

%% The directory with PROTOCOL.md, above the one this module was compiled in.
root() ->
    above(filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile)))).

above(Directory) ->
    case filelib:is_regular(filename:join(Directory, "PROTOCOL.md")) of
        true -> Directory;
        false when Directory =/= "/" -> above(filename:dirname(Directory))
    end.

%% Frames

frames() ->
    [{Kind, Id, Payload} || Kind <- [hello, call, ok, error, cast, cancel, bye, calls], Id <- [0, 1, 16#FFFFFFFF], Payload <- [<<>>, <<1>>, <<0:8000>>]].

frame_round_trip(_) ->
    [begin
        Bytes = py_frame:encode(Kind, Id, Payload),
        ?assertEqual(Bytes, <<(py_frame:header(Kind, Id, byte_size(Payload)))/binary, Payload/binary>>),
        ?assertEqual({ok, Frame, <<"rest">>}, py_frame:decode(<<Bytes/binary, "rest">>, 2000))
     end || {Kind, Id, Payload} = Frame <- frames()].

frame_byte_by_byte(_) ->
    Bytes = py_frame:encode(call, 7, <<"payload">>),
    [begin
        {more, More} = py_frame:decode(binary:part(Bytes, 0, N), 100),
        ?assert(More > 0 andalso N + More =< byte_size(Bytes))
     end || N <- lists:seq(0, byte_size(Bytes) - 1)].

frame_refused(_) ->
    {error, {bad_length, 4}} = py_frame:decode(<<4:32>>, 100),
    {error, {frame_too_large, 101}} = py_frame:decode(<<101:32>>, 100),
    {error, {bad_kind, 0}} = py_frame:decode(<<5:32, 0, 0:32>>, 100),
    {error, {bad_kind, 9}} = py_frame:decode(<<5:32, 9, 0:32>>, 100).

%% Text

text(_) ->
    [?assertEqual(unicode:characters_to_binary(Text), py_text:line(Term, 100)) || {Term, Text} <- [
        {badarith, "badarith"}, {'žluť', "'žluť'"}, {"žluť", "\"žluť\""}, {<<"žluť"/utf8>>, "<<\"žluť\"/utf8>>"}, {<<"a\nb">>, "<<\"a\\nb\">>"},
        {<<255, 1>>, "<<255,1>>"}, {[], "[]"}, {<<>>, "<<>>"}, {{}, "{}"}, {#{}, "#{}"}, {[1, x], "[1,x]"}, {[1 | 2], "[1|2]"}, {{a, "b"}, "{a,\"b\"}"},
        {#{a => [1.5]}, "#{a => [1.5]}"}, {<<5:3>>, "<<5:3>>"}, {"\"", "\"\\\"\""}, {[[[]]], "[[[]]]"}
    ]].

text_is_bounded(_) ->
    [begin
        {Time, Line} = timer:tc(fun() -> py_text:line(Term, 100) end),
        ?assert(string:length(Line) < 150),
        ?assertEqual(nomatch, binary:match(Line, <<"\n">>)),
        ?assert(Time < 1000000)
     end || Term <- [lists:seq(1, 1000000), lists:duplicate(1000000, $x), binary:copy(<<"ž"/utf8>>, 1000000), binary:copy(<<0>>, 1000000),
                     maps:from_list([{N, N} || N <- lists:seq(1, 10000)]), py_peer:nested([100000]), py_peer:big([])]].

%% Settings, admission, handshake

settings(_) ->
    {ok, #{hosts := 1, max_frame := 67108864, poll := 25, python := undefined}} = py_settings:check(#{}),
    {ok, #{python := "python3", env := [{"A", "b"}]}} = py_settings:check(#{python => <<"python3">>, env => [{<<"A">>, "b"}]}),
    {error, {bad_setting, hosts, <<"setting hosts must be an integer from 0, not many">>}} = py_settings:check(#{hosts => many}).

settings_of_each_kind(_) ->
    Good = [
        {max_state_entries, 1, 1}, {max_state_entries, infinity, infinity}, {create_atoms, true, true}, {poll, 0, 0},
        {send, any, any}, {send, none, none}, {send, [], []}, {send, [a, "b", <<"c">>, 'ž'], [<<"a">>, <<"b">>, <<"c">>, <<"ž"/utf8>>]},
        {env, [{"A", ""}, {<<"B">>, false}], [{"A", ""}, {"B", false}]}
    ],
    [?assertMatch({Name, Value, {ok, #{Name := Plain}}}, {Name, Value, py_settings:check(#{Name => Value})}) || {Name, Value, Plain} <- Good],
    Bad = [
        {max_state_entries, 0}, {max_state_entries, a}, {create_atoms, 1}, {poll, -1}, {poll, infinity}, {send, all}, {send, self()}, {send, "init"},
        {send, [1]}, {send, [a | b]}, {send, [[]]}, {send, [<<255>>]}, {send, <<"init">>}, {env, [{"A", "b"} | c]}, {env, [{"A", 1}]}, {python, <<255>>},
        {python, [a]}, {cd, ""}, {max_frame, 65535}, {max_frame, 1 bsl 32}, {max_frame, 70000.0}
    ],
    [begin
        {error, {bad_setting, Name, Text}} = py_settings:check(#{Name => Value}),
        Start = iolist_to_binary(["setting ", atom_to_binary(Name), " must be "]),
        ?assertMatch({Name, <<Start:(byte_size(Start))/binary, _/binary>>}, {Name, Text})
     end || {Name, Value} <- Bad].

unknown_settings(_) ->
    [begin
        {error, {bad_setting, Name, Text}} = py_settings:check(#{Name => 1, hosts => 2}),
        Start = unicode:characters_to_binary(io_lib:format("there is no setting ~ts; did you mean ~ts? ", [Name, Meant])),
        ?assertMatch({Name, <<Start:(byte_size(Start))/binary, _/binary>>}, {Name, Text})
     end || {Name, Meant} <- [{max_worker, max_workers}, {host, hosts}, {'max-frame', max_frame}, {max_contxets, max_contexts}, {creat_atom, create_atoms},
                              {polls, poll}, {enviroment, env}, {socket_path, socket}, {'žend', send}]],
    {error, {bad_setting, host, Text}} = py_settings:check(#{host => 1}),
    [?assertNotEqual({Name, nomatch}, {Name, binary:match(Text, Name)}) || Name <- [<<"max_nesting">>, <<"python">>, <<"send">>]].

admission(_) ->
    [A, B, C] = [spawn(fun() -> ok end) || _ <- [a, b, c]],
    Connect = fun(Pids, Admission) -> lists:foldl(fun py_admission:connect/2, Admission, Pids) end,
    A0 = Connect([A, B], py_admission:new(1)),
    {ok, none, A1} = py_admission:admit(A, thread, A0),
    {refused, _} = py_admission:admit(B, thread, A1),
    {ok, none, A2} = py_admission:admit(B, thread, py_admission:leave(A, A1)),
    ?assertEqual([B], py_admission:threads(A2)),
    A3 = Connect([A], py_admission:expect(<<"t">>, C, A2)),
    {ok, {C, <<"t">>}, A4} = py_admission:admit(A, {context, <<"t">>}, A3),
    {refused, <<"unknown token">>} = py_admission:admit(A, {context, <<"t">>}, Connect([A], A4)),
    {refused, <<"unknown token">>} = py_admission:admit(A, {context, <<"t">>}, py_admission:forget(<<"t">>, A3)),
    {refused, <<"unknown token">>} = py_admission:admit(A, {context, <<"t">>}, py_admission:forget_owner(C, A3)),
    ?assertEqual({[<<"t">>], [], [], []}, list_to_tuple([py_admission:tokens(X) || X <- [
        A3, A4, py_admission:forget(<<"t">>, A3), py_admission:forget_owner(C, A3)]])).

%% Admits only started handlers, in a known role, once.
admission_of_strangers(_) ->
    [A, B] = [spawn(fun() -> ok end) || _ <- [a, b]],
    A0 = py_admission:connect(A, py_admission:new(9)),
    {refused, _} = py_admission:admit(B, thread, A0),
    [{refused, _} = py_admission:admit(A, Role, A0) || Role <- [none, x, {x}, {context, x}, {x, y, z}, 1]],
    {ok, none, A1} = py_admission:admit(A, thread, A0),
    {refused, _} = py_admission:admit(A, thread, A1),
    ?assertEqual([A], py_admission:threads(A1)).

handshake(_) ->
    {ok, thread, #{}} = py_handshake:hello(term_to_binary({erlpy, 1, thread, #{}})),
    {ok, {host, <<"t">>}, #{os_pid := 1}} = py_handshake:hello(term_to_binary({erlpy, 1, {host, <<"t">>}, #{os_pid => 1}})),
    [{refused, _} = py_handshake:hello(term_to_binary(Term)) || Term <- [x, {erlpy, 1, x, #{}}, {erlpy, 1, thread, []}, {erlpy, 2, thread, #{}}]],
    {refused, _} = py_handshake:hello(<<131>>),
    {refused, _} = py_handshake:hello(<<>>).

%% Pool

pool(Contexts, Max) -> pool(1, Contexts, Max).
pool(Hosts, Contexts, Max) -> py_pool:new(#{hosts => Hosts, contexts => Contexts, max_contexts => Max}).

pid() -> spawn(fun() -> ok end).

request(Where) ->
    #{key => make_ref(), from => {self(), make_ref()}, where => Where, space => none, payload => <<>>, keep => false}.

pool_grows_for_each_waiting_call(_) ->
    Host = pid(),
    {[{grow, Host}], P1} = py_pool:host(Host, up, pool(1, 3)),
    %% One is coming, so the first call makes none; the second does.
    {[], P2} = py_pool:submit(request(any), P1),
    {[{grow, Host}], P3} = py_pool:submit(request(any), P2),
    ?assertMatch(#{calls_waiting := 2}, py_pool:stats(P3)).

pool_keeps_to_its_limit(_) ->
    Host = pid(),
    {[{grow, Host}, {grow, Host}], P1} = py_pool:host(Host, up, pool(5, 2)),
    {[], P2} = py_pool:submit(request(any), P1),
    {[], P3} = py_pool:submit(request(any), P2),
    {[], P4} = py_pool:submit(request(any), P3),
    ?assertMatch(#{calls_waiting := 3}, py_pool:stats(P4)).

pool_serves_in_order(_) ->
    [Host, Context] = [pid(), pid()],
    {_, P1} = py_pool:host(Host, up, pool(1, 1)),
    [R1, R2] = [request(any), request(any)],
    {[], P2} = py_pool:submit(R1, P1),
    {[], P3} = py_pool:submit(R2, P2),
    {[{send, Context, Host, R1}], P4} = py_pool:joined(Context, Host, P3),
    {[{over, R1}, {send, Context, Host, R2}], P5} = py_pool:done(Context, P4),
    {[{over, R2}], P6} = py_pool:done(Context, P5),
    ?assertMatch(#{contexts_idle := 1, calls_waiting := 0}, py_pool:stats(P6)),
    {[], _} = py_pool:cancel(maps:get(key, R2), P6).

%% One context that is at a call, and another call that waits for it.
pool_at_work() ->
    [Host, Context, R1, R2] = [pid(), pid(), request(any), request(any)],
    {_, P1} = py_pool:host(Host, up, pool(1, 1)),
    {_, P2} = py_pool:submit(R1, P1),
    {_, P3} = py_pool:submit(R2, P2),
    {_, P4} = py_pool:joined(Context, Host, P3),
    {Host, Context, R1, R2, P4}.

pool_cancels_what_waits(_) ->
    {_, Context, R1, R2, P1} = pool_at_work(),
    {[{reply, R2, interrupted}], P2} = py_pool:cancel(maps:get(key, R2), P1),
    {[{over, R1}], P3} = py_pool:done(Context, P2),
    ?assertMatch(#{contexts_idle := 1, calls_waiting := 0}, py_pool:stats(P3)).

%% Whichever comes first, the call's end or the interrupt's: the context is at nothing else before it has seen both.
pool_interrupts_what_is_cancelled(_) ->
    {Host, Context, #{key := Key} = R1, R2, P1} = pool_at_work(),
    {[{interrupt, Context}, {kill_later, Context, Stop}], P2} = py_pool:cancel(Key, P1),
    {[{over, R1}], P3} = py_pool:done(Context, P2),
    {[{send, Context, Host, R2}], P4} = py_pool:interrupted(Context, missed, P3),
    {[], P4} = py_pool:give_up(Context, Stop, P4),
    {[], P5} = py_pool:interrupted(Context, hit, P2),
    {[{over, R1}, {send, Context, Host, R2}], P4} = py_pool:done(Context, P5),
    {[{kill, Context}], _} = py_pool:give_up(Context, Stop, P5),
    %% The call is over, but the host does not answer: the context is no use any more.
    {[{kill, Context}], P6} = py_pool:give_up(Context, Stop, P3),
    %% It gets no other call, even when it answers.
    {[], _} = py_pool:interrupted(Context, missed, P6),
    {[{kill, Context}], P7} = py_pool:give_up(Context, Stop, P2),
    {[{over, R1}], _} = py_pool:done(Context, P7).

%% A call that Python has not begun yet is not there to be interrupted.
pool_insists(_) ->
    {_, Context, #{key := Key} = R1, _, P1} = pool_at_work(),
    {[_, {kill_later, Context, Stop}], P2} = py_pool:cancel(Key, P1),
    {[{insist_later, Context, Stop}], P3} = py_pool:interrupted(Context, missed, P2),
    {[{interrupt, Context}], P2} = py_pool:insist(Context, Stop, P3),
    {[{over, R1}, {send, _, _, _}], P4} = py_pool:done(Context, P3),
    {[], P4} = py_pool:insist(Context, Stop, P4),
    %% Code is told once.
    {[], P5} = py_pool:interrupted(Context, hit, P2),
    {[], P5} = py_pool:insist(Context, Stop, P5),
    %% A host of another make.
    {[{kill, Context}], _} = py_pool:interrupted(Context, failed, P2).

%% By py:interrupt/1: its caller hears of the hit, or of the call's end. The context is given up in
%% time, and only for this call.
pool_interrupts(_) ->
    {Host, Context, R1, R2, P1} = pool_at_work(),
    [A, B, C] = [{self(), N} || N <- [a, b, c]],
    {[{told, A, false}], P1} = py_pool:interrupt(pid(), A, P1),
    {[{interrupt, Context}, {kill_later, Context, Stop}], P2} = py_pool:interrupt(Context, A, P1),
    {[], P3} = py_pool:interrupt(Context, B, P2),
    {[{told, B, true}, {told, A, true}], P4} = py_pool:interrupted(Context, hit, P3),
    {[{kill, Context}], P5} = py_pool:give_up(Context, Stop, P4),
    {[{reply, R1, interrupted} | _], _} = py_pool:ended(Context, sent, given_up, P5),
    %% It has been caught; another attempt has the same end.
    {[{interrupt, Context}], P6} = py_pool:interrupt(Context, C, P4),
    {[{kill, Context}], _} = py_pool:give_up(Context, Stop, P6),
    %% Missed, and tried again; or the call ended first.
    {[{insist_later, Context, Stop}], P7} = py_pool:interrupted(Context, missed, P2),
    {[{interrupt, Context}], P2} = py_pool:insist(Context, Stop, P7),
    {[{over, R1}, {told, A, false}, {send, Context, Host, R2}], P8} = py_pool:done(Context, P7),
    {[], P8} = py_pool:give_up(Context, Stop, P8),
    {[{interrupt, Context}, {kill_later, Context, Next}], _} = py_pool:interrupt(Context, A, P8),
    ?assertNotEqual(Stop, Next).

pool_context_ends(_) ->
    {Host, Context, #{key := Key} = R1, R2, P1} = pool_at_work(),
    {[{reply, R1, {down, oops}}, grow_later, {grow, Host}], _} = py_pool:ended(Context, sent, oops, P1),
    %% What has not been sent waits for the next one, behind those that wait already.
    {Effects, P2} = py_pool:ended(Context, unsent, oops, P1),
    ?assertNot(lists:keymember(reply, 1, Effects)),
    Other = pid(),
    {[{send, Other, Host, R2}], P3} = py_pool:joined(Other, Host, P2),
    {[{over, R2}, {send, Other, Host, R1}], _} = py_pool:done(Other, P3),
    %% What nobody waits for is not sent again.
    {_, P4} = py_pool:cancel(Key, P1),
    {[{reply, R1, interrupted} | _], _} = py_pool:ended(Context, unsent, oops, P4).

pool_is_full(_) ->
    {_, Context, R1, R2, P1} = pool_at_work(),
    true = py_pool:full(P1),
    {[], P1} = py_pool:refuse([pid()], P1),
    {[{reply, R2, {max_contexts, 1}}], P2} = py_pool:refuse([Context], P1),
    false = py_pool:full(P2),
    {[{over, R1}], _} = py_pool:done(Context, P2),
    %% A call for one context is its caller's own choice.
    {[], P3} = py_pool:submit(request({context, Context}), P2),
    false = py_pool:full(P3),
    {[], P3} = py_pool:refuse([Context], P3).

%% The contexts of one host are stuck: calls for this host are refused, the others wait.
pool_is_full_on_one_host(_) ->
    [H1, H2, A, B] = [pid(), pid(), pid(), pid()],
    P1 = up([H1, H2], pool(2, 1, 2)),
    {_, P2} = py_pool:joined(A, H1, P1),
    {_, P3} = py_pool:joined(B, H2, P2),
    P4 = submitted([request({host, H1}), request({host, H2})], P3),
    [R1, R2, R3] = [request(Where) || Where <- [{host, H1}, any, {host, H2}]],
    P5 = submitted([R1, R2, R3], P4),
    {[{reply, R1, {max_contexts, 2}}], P6} = py_pool:refuse([A], P5),
    {[{reply, R2, {max_contexts, 2}}, {reply, R3, {max_contexts, 2}}], _} = py_pool:refuse([A, B], P6).

%% Calls for a lost host go elsewhere, in their turn.
pool_loses_a_host(_) ->
    [H1, H2, H3, A, B] = [pid(), pid(), pid(), pid(), pid()],
    P1 = up([H1, H2], pool(2, 1, 2)),
    {_, P2} = py_pool:joined(A, H1, P1),
    {_, P3} = py_pool:joined(B, H2, P2),
    P4 = submitted([request({host, H1}), request({host, H2})], P3),
    [#{key := Key} = Pinned, Later] = [request({host, H1}), request({host, H2})],
    P5 = submitted([Pinned, Later], P4),
    [begin
        %% Its contexts are not used any more, and end in time.
        {[{kill_soon, A, Stop}], P6} = Lose(P5),
        {[{over, _}, {send, B, H2, #{key := Key, where := any}}], P7} = py_pool:done(B, P6),
        {[{over, _}], P8} = py_pool:done(A, P7),
        ?assertEqual([B], py_pool:contexts(P8)),
        {[{kill, A}], _} = py_pool:give_up(A, Stop, P8),
        {[grow_later, {grow, H2}], _} = py_pool:ended(A, unsent, closed, P8),
        %% So does a late call.
        {_, P9} = py_pool:done(B, P8),
        {[{over, _}], P10} = py_pool:done(B, P9),
        {[{send, B, H2, #{where := any}}], _} = py_pool:submit(request({host, H1}), P10)
     end || Lose <- [fun(P) -> py_pool:host_gone(H1, P) end, fun(P) -> py_pool:host(H1, starting, P) end,
                     fun(P) -> py_pool:host(H1, {failed, oops}, P) end]],
    %% The context is made up for on the next host.
    {_, P11} = py_pool:host_gone(H1, P3),
    {[], P12} = py_pool:host(H3, up, P11),
    {[grow_later], P13} = py_pool:ended(A, unsent, closed, P12),
    {[{grow, H3}], _} = py_pool:replace(P13).

%% The context of a host ends a moment before the host: calls for that host are not refused in
%% between.
pool_context_ends_before_its_host(_) ->
    [Host1, Host2, A, B] = [pid(), pid(), pid(), pid()],
    [begin
        P1 = up([H1, H2], pool(2, 1, 2)),
        {_, P2} = py_pool:joined(A, H1, P1),
        {_, P3} = py_pool:joined(B, H2, P2),
        P4 = submitted([request({host, H1}), request({host, H2})], P3),
        [R1, R2] = [request({host, Place}) || Place <- Places],
        P5 = submitted([R1, R2], P4),
        {Effects, P6} = py_pool:ended(A, sent, closed, P5),
        ?assertEqual([], [R || {reply, R, {max_contexts, _}} <- Effects]),
        {Lost, _} = py_pool:host(H1, starting, P6),
        ?assertEqual([], [R || {reply, R, _} <- Lost])
     end || [H1, H2] <- [[Host1, Host2], [Host2, Host1]], Places <- [[H1, H1], [H1, H2], [H2, H1]]].

%% A host without a context, and no room for one: its calls are told, a moment later.
pool_has_no_room_on_a_host(_) ->
    [H1, H2, A] = [pid(), pid(), pid()],
    P1 = up([H1, H2], pool(2, 1, 1)),
    {_, P2} = py_pool:joined(A, H1, P1),
    R = request({host, H2}),
    {[grow_later], P} = py_pool:submit(R, P2),
    {[{reply, R, {max_contexts, 1}}], P3} = py_pool:replace(P),
    ?assertMatch(#{calls_waiting := 0, contexts_idle := 1}, py_pool:stats(P3)).

%% A context connects after the stop: it is not counted on any more.
pool_stopped_while_joining(_) ->
    [Host, Context] = [pid(), pid()],
    {[{grow, Host}], P1} = py_pool:host(Host, up, pool(1, 1)),
    {[], P2} = py_pool:stop(P1),
    {[{kill, Context}], P3} = py_pool:joined(Context, Host, P2),
    {[{grow, Host}], _} = py_pool:resize(default, P3).

up(Hosts, Pool) ->
    lists:foldl(fun(Host, P) -> element(2, py_pool:host(Host, up, P)) end, Pool, Hosts).

submitted(Requests, Pool) ->
    lists:foldl(fun(Request, P) -> element(2, py_pool:submit(Request, P)) end, Pool, Requests).

%% Queue

%% Against a plain list: the same calls come out in the same order.
queue_is_a_list(_) ->
    Lanes = [any, {host, pid()}, {host, pid()}, {context, pid()}],
    _ = rand:seed(exsss, {1, 2, 3}),
    [queue_step(50, Lanes, py_queue:new(), []) || _ <- lists:seq(1, 300)].

queue_step(0, _Lanes, _Queue, _List) ->
    ok;
queue_step(N, Lanes, Queue, List) ->
    ?assertEqual(length(List), py_queue:size(Queue)),
    ?assertEqual(length([1 || #{where := Lane} <- List, not is_tuple(Lane) orelse element(1, Lane) =:= host]), py_queue:free(Queue)),
    ?assertEqual(lists:usort([Lane || #{where := Lane} <- List]), lists:sort(py_queue:lanes(Queue))),
    [?assertEqual(length([1 || #{where := L} <- List, L =:= Lane]), py_queue:size(Lane, Queue)) || Lane <- Lanes],
    Some = [Lane || Lane <- Lanes, rand:uniform(2) =:= 1],
    Match = [Call || #{where := Lane} = Call <- List, lists:member(Lane, Some)],
    case rand:uniform(9) of
        Add when Add =< 4 ->
            Call = #{key => make_ref(), where => pick(Lanes)},
            queue_step(N - 1, Lanes, py_queue:add(Call, Queue), List ++ [Call]);
        Take when Take =< 6 ->
            case Match of
                [First | _] ->
                    {First, Rest} = py_queue:take(Some, Queue),
                    queue_step(N - 1, Lanes, Rest, List -- [First]);
                [] ->
                    none = py_queue:take(Some, Queue),
                    queue_step(N - 1, Lanes, Queue, List)
            end;
        7 when List =/= [] ->
            #{key := Key} = Call = pick(List),
            {Call, Rest} = py_queue:remove(Key, Queue),
            none = py_queue:remove(Key, Rest),
            queue_step(N - 1, Lanes, Rest, List -- [Call]);
        8 ->
            {Match, Rest} = py_queue:drain(Some, Queue),
            queue_step(N - 1, Lanes, Rest, List -- Match);
        _ ->
            [From, To] = [pick(Lanes), pick(Lanes)],
            Moved = [case Call of #{where := From} -> Call#{where := To}; _ -> Call end || Call <- List],
            queue_step(N - 1, Lanes, py_queue:move(From, To, Queue), Moved)
    end.

pick(List) -> lists:nth(rand:uniform(length(List)), List).

%% Deadlock

deadlock(_) ->
    [A, B, C] = [pid(), pid(), pid()],
    S1 = py_deadlock:snapshot(#{A => 1, B => 2, C => 3}, 0, none),
    [] = py_deadlock:stuck(100, 99, S1),
    %% Even counts are at work; a changed count begins anew.
    ?assertEqual(lists:sort([A, C]), lists:sort(py_deadlock:stuck(100, 100, S1))),
    S2 = py_deadlock:snapshot(#{A => 1, B => 3, C => 5}, 60, S1),
    [A] = py_deadlock:stuck(100, 100, S2),
    %% One context was busy in between, another has ended.
    S3 = py_deadlock:snapshot(#{B => 4, C => 5}, 70, S2),
    S4 = py_deadlock:snapshot(#{B => 3, C => 5}, 80, S3),
    [C] = py_deadlock:stuck(100, 160, S4),
    ?assertEqual(lists:sort([B, C]), lists:sort(py_deadlock:stuck(100, 180, S4))).

pool_host_fails(_) ->
    Host = pid(),
    R = request(any),
    {[], P1} = py_pool:submit(R, pool(1, 1)),
    {[{reply, R, {down, oops}}], P2} = py_pool:host(Host, {failed, oops}, P1),
    {[{reply, R, {down, oops}}], P2} = py_pool:submit(R, P2),
    {[], P3} = py_pool:host(Host, starting, P2),
    {[], _} = py_pool:submit(R, P3).

pool_prefers_last_used(_) ->
    [Host, A, B] = [pid(), pid(), pid()],
    {_, P1} = py_pool:host(Host, up, pool(2, 2)),
    {_, P2} = py_pool:joined(A, Host, P1),
    {_, P3} = py_pool:joined(B, Host, P2),
    {[{send, B, Host, _}], P4} = py_pool:submit(request(any), P3),
    {[{send, A, Host, _}], P5} = py_pool:submit(request({context, A}), P4),
    {_, P6} = py_pool:done(B, P5),
    {_, P7} = py_pool:done(A, P6),
    {[{send, A, Host, _}], _} = py_pool:submit(request(any), P7),
    ?assertEqual([A, B], py_pool:contexts(P7)).

pool_spreads_over_hosts(_) ->
    [H1, H2, A, B] = [pid(), pid(), pid(), pid()],
    {_, P1} = py_pool:host(H1, up, pool(2, 1, 4)),
    {_, P2} = py_pool:host(H2, up, P1),
    {_, P3} = py_pool:joined(A, H1, P2),
    {_, P4} = py_pool:joined(B, H2, P3),
    {[{send, A, H1, _}], P5} = py_pool:submit(request({host, H1}), P4),
    %% A busy host's namespace is not to be found on the idle one.
    {[{grow, H1}], P6} = py_pool:submit(request({host, H1}), P5),
    {[{send, B, H2, _}], _} = py_pool:submit(request(any), P6),
    %% One host down is not all.
    {_, P7} = py_pool:host(H1, {failed, oops}, P4),
    {[{send, B, H2, _}], _} = py_pool:submit(request(any), P7).

pool_prefers_the_least_busy_host(_) ->
    [H1, H2, A1, A2, B1, B2] = [pid(), pid(), pid(), pid(), pid(), pid()],
    {_, P0} = py_pool:host(H1, up, pool(2, 2, 4)),
    {_, P1} = py_pool:host(H2, up, P0),
    P2 = lists:foldl(
        fun({Context, Host}, P) -> element(2, py_pool:joined(Context, Host, P)) end,
        P1, [{A1, H1}, {B1, H2}, {B2, H2}, {A2, H1}]),
    %% The last used, and then always the other host.
    {[{send, A2, H1, _}], P3} = py_pool:submit(request(any), P2),
    {[{send, B2, H2, _}], P4} = py_pool:submit(request(any), P3),
    {_, P5} = py_pool:done(A2, P4),
    {[{send, A2, H1, _}], P6} = py_pool:submit(request(any), P5),
    {_, P7} = py_pool:done(B2, P6),
    {[{send, B2, H2, _}], P8} = py_pool:submit(request({host, H2}), P7),
    {[{send, B1, H2, _}], P9} = py_pool:submit(request({host, H2}), P8),
    {[{send, A1, H1, _}], _} = py_pool:submit(request(any), P9).

pool_context_never_comes(_) ->
    Host = pid(),
    R = request(any),
    {[{grow, Host}], P1} = py_pool:host(Host, up, pool(1, 1)),
    {[], P2} = py_pool:submit(R, P1),
    {[{reply, R, {down, oops}}], P3} = py_pool:join_failed(Host, oops, P2),
    {[{grow, Host}], _} = py_pool:submit(R, P3),
    %% Calls for other hosts wait on.
    Other = pid(),
    P4 = up([Host, Other], pool(2, 1, 2)),
    P5 = submitted([R, request({host, Host})], P4),
    {[{reply, #{where := {host, Host}}, {down, oops}}], P6} = py_pool:join_failed(Host, oops, P5),
    {[{send, _, Other, R}], _} = py_pool:joined(pid(), Other, P6).

host_arguments(_) ->
    {ok, Settings} = py_settings:check(#{python => "/venv", poll => 0}),
    ?assertEqual(["host", "--beam", "/s", "--token", <<"t">>, "--max-frame", "67108864", "--max-workers", "1024",
                  "--max-nesting", "100", "--max-async", "1000", "--max-submitted-bytes", "67108864", "--poll", "0", "--python", "/venv"],
                 py_host:arguments("/s", <<"t">>, Settings)).

%% Polls

%% So many waits for something that would be seen at that look: how many looks that takes, how many of the waits become sleeps.
waits(Count, At, Polling) ->
    lists:foldl(
        fun(_, {Looks, Sleeps, Polling1}) ->
            case py_polling:tries(Polling1) of
                {none, Polling2} -> {Looks, Sleeps + 1, Polling2};
                {Tries, Polling2} when At =< Tries -> {Looks + At, Sleeps, py_polling:hit(At, Polling2)};
                {Tries, Polling2} -> {Looks + Tries, Sleeps + 1, py_polling:miss(Polling2)}
            end
        end,
        {0, 0, Polling}, lists:seq(1, Count)
    ).

polls_are_made(_) ->
    {300, 0, Polling} = waits(100, 3, py_polling:new(25)),
    %% One that is late now and then does not keep the others waiting.
    lists:foldl(
        fun(_, Polling1) ->
            {25, 1, Polling2} = waits(1, 1000, Polling1),
            {27, 0, Polling3} = waits(9, 3, Polling2),
            Polling3
        end,
        Polling, lists:seq(1, 10)
    ).

polls_are_made_seldom(_) ->
    [begin
        {Looks, _, Polling} = waits(1000, At, py_polling:new(25)),
        {Later, _, _} = waits(1000, At, Polling),
        ?assert(Looks < 1000 * 25 div 4, {At, Looks}),
        ?assert(Later < 1000 * 25 div 5, {At, Later})
     end || At <- [26, 60, 100, 101, 100000]].

polls_are_made_again(_) ->
    [begin
        {_, _, Polling} = waits(1000, At, py_polling:new(25)),
        {_, Sleeps, Polling1} = waits(100, 3, Polling),
        ?assert(Sleeps =< 32, {At, Sleeps}),
        ?assertMatch({300, 0, _}, waits(100, 3, Polling1))
     end || At <- [26, 60, 100, 101, 100000]].

polls_that_are_off(_) ->
    {0, 100, _} = waits(100, 1, py_polling:new(0)).
