@problemName two
@timestamps false
@missing False
@univariate false
@dimension 2
@equalLength true
@seriesLength 4
@classLabel true down up
@data
0.0,0.25,0.5,0.75:1.0,1.25,1.5,1.75:up
2.0,2.25,2.5,2.75:3.0,3.25,3.5,3.75:down
4.0,4.25,4.5,4.75:5.0,5.25,5.5,5.75:up
