%% @doc Calls waiting for a context, in order of arrival. Pure; {@link py_pool} keeps it.
%%
%% A lane holds the calls for the same contexts. Each operation costs at most the logarithm of the
%% number of waiting calls.
-module(py_queue).

-export([new/0, add/2, take/2, remove/2, drain/2, move/3, size/1, size/2, free/1, lanes/1]).
-export_type([queue/0, lane/0]).

%% Any context; those of one host; one context.
-type lane() :: any | {host, pid()} | {context, pid()}.
%% `key' names the call, `where' its lane.
-type call() :: #{key := reference(), where := lane(), _ => _}.
-type arrival() :: pos_integer().

-record(queue, {
    next = 1 :: arrival(),
    %% By arrival number. No lane here is empty.
    lanes = #{} :: #{lane() => gb_trees:tree(arrival(), call())},
    places = #{} :: #{Key :: reference() => {lane(), arrival()}},
    %% The calls in lanes of more than one context.
    free = 0 :: non_neg_integer()
}).

-opaque queue() :: #queue{}.

-spec new() -> queue().
new() ->
    #queue{}.

%% @doc Adds a call behind all others.
-spec add(call(), queue()) -> queue().
add(Call, #queue{next = Number} = Queue) ->
    insert(Number, Call, Queue#queue{next = Number + 1}).

%% @doc Takes the oldest call of these lanes out.
-spec take([lane()], queue()) -> {call(), queue()} | none.
take(Lanes, #queue{lanes = All} = Queue) ->
    case lists:sort([gb_trees:smallest(map_get(Lane, All)) || Lane <- Lanes, is_map_key(Lane, All)]) of
        [{_Number, #{key := Key}} | _] -> remove(Key, Queue);
        [] -> none
    end.

%% @doc Takes a call out by its key.
-spec remove(reference(), queue()) -> {call(), queue()} | none.
remove(Key, #queue{lanes = Lanes, places = Places, free = Free} = Queue) ->
    case maps:take(Key, Places) of
        {{Lane, Number}, Rest} ->
            {Call, Tree} = gb_trees:take(Number, map_get(Lane, Lanes)),
            Lanes1 = case gb_trees:is_empty(Tree) of true -> maps:remove(Lane, Lanes); false -> Lanes#{Lane := Tree} end,
            {Call, Queue#queue{lanes = Lanes1, places = Rest, free = Free - freedom(Lane)}};
        error ->
            none
    end.

%% @doc Takes all calls of these lanes out, in order of arrival.
-spec drain([lane()], queue()) -> {[call()], queue()}.
drain(Lanes, Queue) ->
    case take(Lanes, Queue) of
        {Call, Rest} ->
            {Calls, Rest1} = drain(Lanes, Rest),
            {[Call | Calls], Rest1};
        none ->
            {[], Queue}
    end.

%% @doc Moves the calls of a lane to another one, where they keep their turn.
-spec move(lane(), lane(), queue()) -> queue().
move(From, To, #queue{lanes = Lanes} = Queue) ->
    Calls = case Lanes of #{From := Tree} -> gb_trees:to_list(Tree); #{} -> [] end,
    lists:foldl(
        fun({Number, #{key := Key}}, Q) ->
            {Call, Rest} = remove(Key, Q),
            insert(Number, Call#{where := To}, Rest)
        end, Queue, Calls).

%% @doc The number of waiting calls.
-spec size(queue()) -> non_neg_integer().
size(#queue{places = Places}) ->
    map_size(Places).

-spec size(lane(), queue()) -> non_neg_integer().
size(Lane, #queue{lanes = Lanes}) ->
    case Lanes of
        #{Lane := Tree} -> gb_trees:size(Tree);
        #{} -> 0
    end.

%% @doc The number of calls for more than one given context.
-spec free(queue()) -> non_neg_integer().
free(#queue{free = Free}) ->
    Free.

%% @doc The lanes with calls.
-spec lanes(queue()) -> [lane()].
lanes(#queue{lanes = Lanes}) ->
    maps:keys(Lanes).

-spec insert(arrival(), call(), queue()) -> queue().
insert(Number, #{key := Key, where := Lane} = Call, #queue{lanes = Lanes, places = Places, free = Free} = Queue) ->
    Tree = case Lanes of #{Lane := Known} -> Known; #{} -> gb_trees:empty() end,
    Queue#queue{
        lanes = Lanes#{Lane => gb_trees:insert(Number, Call, Tree)},
        places = Places#{Key => {Lane, Number}},
        free = Free + freedom(Lane)
    }.

-spec freedom(lane()) -> 0 | 1.
freedom({context, _}) -> 0;
freedom(_) -> 1.
