@problemName one
@timestamps false
@missing False
@univariate true
@equalLength true
@seriesLength 4
@classLabel true 1 2
@data
0.0,0.25,0.5,0.75:1
2.0,2.25,2.5,2.75:2
4.0,4.25,4.5,4.75:1
